"""One figure per group: curves for sweeps (the paper's Fig. 4), bars for comparisons (its Fig. 3)."""

import statistics
from pathlib import Path
from typing import Any

from tgdi_hf.evaluation.spread import deviation

from .experiments import Experiment, read_experiments
from .tables import title_of

# Groups that sweep a parameter: its value per experiment, and the label of the axis.
SWEEPS = {
    "low_resource": (lambda experiment: 100 * experiment.share, "training rows, %"),
    "low_resource_stratified": (lambda experiment: 100 * experiment.share, "training rows, % of each relation"),
    "fusion_lambda": (lambda experiment: experiment.config["fusion_lambda"], "λ of Eq. 14"),
    "objects": (lambda experiment: experiment.config["num_objects"], "objects per post, m"),
}


def draw(group: str, found: dict[str, list[dict[str, Any]]], file: Path) -> None:
    """Does nothing if matplotlib is not installed (`pip install 'tgdi_hf[viz]'`), or without finished runs."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    experiments = [experiment for experiment in read_experiments(group) if found[experiment.name]]
    if not experiments:
        return
    figure = Figure(figsize=(8, 4), layout="constrained")
    (curves if group in SWEEPS else bars)(figure.subplots(), group, experiments, found)
    figure.savefig(file, dpi=110)


def curves(axes, group: str, experiments: list[Experiment], found: dict[str, list[dict[str, Any]]]) -> None:
    place, label = SWEEPS[group]
    for model in dict.fromkeys(experiment.model for experiment in experiments):
        points = sorted(
            (place(experiment), [100 * result["scores"]["f1"] for result in found[experiment.name]])
            for experiment in experiments
            if experiment.model == model
        )
        means, deviations = ([of(values) for _, values in points] for of in (statistics.mean, deviation))
        axes.errorbar([x for x, _ in points], means, deviations, label=model, marker="o", capsize=3)
    axes.set(xlabel=label, ylabel=f"F1 on {found[experiments[0].name][0]['split']}, mean ± standard deviation")
    axes.legend()


def bars(axes, group: str, experiments: list[Experiment], found: dict[str, list[dict[str, Any]]]) -> None:
    """Accuracy, as in the paper's Fig. 3, and F1."""
    for shift, score, colour in ((-0.2, "accuracy", "#9ecae1"), (0.2, "f1", "#3b6ea5")):
        values = [[100 * result["scores"][score] for result in found[experiment.name]] for experiment in experiments]
        places = [i + shift for i in range(len(experiments))]
        axes.barh(places, [statistics.mean(of) for of in values], 0.38, xerr=[deviation(of) for of in values],
                  label={"f1": "F1"}.get(score, score), color=colour, capsize=3)  # fmt: skip
    seeds = [len(found[experiment.name]) for experiment in experiments]
    titles = [title_of(experiment, found[experiment.name]) for experiment in experiments]
    names = [f"{title} ({count})" for title, count in zip(titles, seeds)]
    axes.set_yticks(range(len(experiments)), names)
    axes.invert_yaxis()
    axes.set(
        xlabel=f"on {found[experiments[0].name][0]['split']}, mean ± standard deviation (number of seeds)",
        xlim=(0, 100),
    )
    axes.legend()

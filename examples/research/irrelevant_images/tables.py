"""Tables and figure of the runs in a folder."""

import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from examples.research.reproduce.collect import refuse_unlike
from tgdi_hf.evaluation.markdown import table
from tgdi_hf.evaluation.spread import deviation, mean_and_deviation

from .models import MODELS
from .runs import SHARES


def values_of(results: list[dict], name: str, score: str, train_share: float, test_share: float) -> list[float]:
    """One value per seed. The text-only model was trained once: the share does not affect it."""
    return [
        test[score]
        for result in results
        if result["model"] == name and (result["train_share"] == train_share or name == "text only")
        for test in result["test"]
        if test["share"] == test_share and score in test
    ]


def _at(share: float, score: str) -> Callable[[dict], float | None]:
    return lambda result: next((test.get(score) for test in result["test"] if test["share"] == share), None)


# Columns of the summary, for models that were trained without irrelevant images.
SUMMARY: dict[str, Callable[[dict], float | None]] = {
    "all fit: all posts": _at(0.0, "f1"),
    "posts that need their image": _at(0.0, "f1_needs"),
    "posts that need none": _at(0.0, "f1_needs_not"),
    "all irrelevant": _at(1.0, "f1_needs_not"),
    "all misleading": lambda result: result.get("misleading", {}).get("f1_needs_not"),
    "AUROC of the gate": _at(0.5, "auroc"),
    "its calibration error": lambda result: (result.get("gate") or {}).get("ece"),
    "order of the pair unknown": lambda result: (result.get("order") or {}).get("order_unknown", {}).get("f1"),
}
# Further tables: title, score, and the shares in training and at test; `None` marks the swept one.
SECTIONS = (
    ("F1 of posts that need no image; trained without irrelevant ones", "f1_needs_not", 0.0, None),
    ("F1 of all posts; trained without irrelevant images", "f1", 0.0, None),
    ("F1 of posts that need no image; trained with one half irrelevant", "f1_needs_not", 0.5, None),
    ("F1 of all posts, by the share in training; tested with one half irrelevant", "f1", None, 0.5),
    ("AUROC of the gate's mean, relevant against irrelevant; by the share in training", "auroc", None, 0.5),
)


def sweep(train_share: float | None, test_share: float | None) -> list[tuple[float, float]]:
    return [(share if train_share is None else train_share, share if test_share is None else test_share)
            for share in SHARES]  # fmt: skip


def summary_row(name: str, own: list[dict]) -> list[str]:
    columns = [[value for result in own if (value := of(result)) is not None] for of in SUMMARY.values()]
    return [name, *(mean_and_deviation(values, digits=1) for values in columns), str(len(own))]


def summary_table(results: list[dict]) -> str:
    """One row per model that was trained without irrelevant images, one column per question."""
    rows = []
    for name in MODELS:
        own = [result for result in results if result["model"] == name]
        own = [result for result in own if result["train_share"] == 0.0 or name == "text only"]
        if own:
            rows.append(summary_row(name, own))
    return "\n".join(table(["model", *SUMMARY, "seeds"], rows))


def search_table(results: list[dict]) -> str:
    """One row per model and share of swapped images, scored on validation rows."""
    settings = sorted({(result["model"], result["swap_images"]) for result in results})
    rows = []
    for name, swapped in settings:
        own = [result for result in results if (result["model"], result["swap_images"]) == (name, swapped)]
        rows.append(summary_row(f"{name}, {100 * swapped:g} %", own))
    return "\n".join(table(["model, images swapped in training", *SUMMARY, "seeds"], rows))


def score_table(results: list[dict], score: str, train_share: float | None, test_share: float | None) -> str:
    """One row per model, one column per share; empty if no share has results."""
    header = [f"irrelevant {'in training' if train_share is None else 'at test'}"]
    header += [*(f"{100 * share:.0f} %" for share in SHARES), "seeds"]
    rows = []
    for name in MODELS:
        columns = [values_of(results, name, score, *shares) for shares in sweep(train_share, test_share)]
        if any(columns):
            counts = sorted({len(values) for values in columns if values})
            cells = [mean_and_deviation(values, digits=1) for values in columns]
            rows.append([name, *cells, " to ".join(map(str, counts))])
    return "\n".join(table(header, rows)) if rows else ""


def collect(folder: Path) -> str:
    results: list[dict[str, Any]] = [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]
    for what in ("epochs", "rows"):
        refuse_unlike(str(folder), what, [result.get(what) for result in results])
    for name, variant in MODELS.items():
        own = [result for result in results if result["model"] == name]
        refuse_unlike(name, "options", [variant.options, *(of.get("options") for of in own)])
        refuse_unlike(name, "swap_images", [variant.swap_images, *(of.get("swap_images", 0.0) for of in own)])
    parts = [
        f"Trained without irrelevant images; the columns from 'all irrelevant' to the AUROC are of posts that need no \
image, the last two of all posts\n\n{summary_table(results)}"
    ]
    found = ((title, score_table(results, *of)) for title, *of in SECTIONS)
    parts += [f"{title}\n\n{rows}" for title, rows in found if rows]
    searched = [json.loads(file.read_text()) for file in sorted(folder.glob("search/*.json"))]
    if searched:
        parts.append(f"Validation rows, by the share of swapped images in training\n\n{search_table(searched)}")
    text = f"In percent, mean ± standard deviation over seeds; {len(results)} runs.\n\n" + "\n\n".join(parts) + "\n"
    (folder / "tables.md").write_text(text, encoding="utf-8")
    draw(results, folder)
    return text


def draw(results: list[dict], folder: Path) -> None:
    """F1 over the share at test, and the reliability of the gates as probabilities."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    figure = Figure(figsize=(11, 4), layout="constrained")
    scores, gates = figure.subplots(1, 2)
    for name in MODELS:
        columns = [values_of(results, name, "f1_needs_not", *shares) for shares in sweep(0.0, None)]
        points = [(100 * share, [100 * of for of in values]) for share, values in zip(SHARES, columns) if values]
        if points:
            means = [statistics.mean(values) for _, values in points]
            spread = [deviation(values) for _, values in points]
            scores.errorbar([share for share, _ in points], means, spread, label=name, marker="o", capsize=3)
    scores.set(xlabel="irrelevant at test, % of images of posts that need none", ylabel="F1")
    scores.set_title("posts that need no image; trained without irrelevant ones", fontsize=9)
    if scores.containers:
        scores.legend(fontsize=7)
    gates.plot([0, 1], [0, 1], color="#999999", linewidth=1)
    for name in MODELS:
        own = [of["gate"] for of in results if of["model"] == name and of["train_share"] == 0.0 and of.get("gate")]
        bins = [one for gate in own for one in gate["bins"]]
        if bins:
            places = [one["confidence"] for one in bins]
            gates.scatter(places, [one["accuracy"] for one in bins], [0.3 * one["rows"] for one in bins], label=name)
    gates.set(xlim=(0, 1), ylim=(0, 1), xlabel="mean of the gate", ylabel="images that belong to the text")
    gates.set_title("one half of the images swapped; a point per bin and seed", fontsize=9)
    if gates.collections:
        gates.legend(fontsize=7)
    figure.savefig(folder / "figure.png", dpi=110)

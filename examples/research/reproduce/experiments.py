"""The experiments: one JSON file each, in one folder per table or figure."""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from tgdi_hf.data.perturbed import CONTROLS

from .caption_paths import CAPTION_PATHS
from .paper import TABLE_2
from .rows import SAMPLINGS

CONFIGS = Path(__file__).parent / "configs"
CONVOLUTIONS = ("cnn", "pcnn")  # models that read word vectors


@dataclass(frozen=True)
class Experiment:
    r"""
    The settings in which a run differs from the others; all others are shared.

    Args:
        group: The folder of its file: the table or figure it belongs to.
        name: The name of its file.
        title: Its name in the table.
        model: `"tgdi"`, or one of `examples.research.baselines.BASELINES`.
        preset: Of TGDI, the named set of configuration fields that `config` overrides, see `build_model`; by default
            the defaults of `TGDIConfig`.
        arguments: Fields of `TrainingArguments` that override the shared recipe.
        use_caption: Whether the model reads captions.
        config: Fields of the model's configuration.
        fusion_learning_rate: Learning rate of randomly initialised weights; by default that of the encoders.
        dropout: Overrides every dropout probability of the model in training.
        class_weights: Exponent p: a relation with n training rows has weight n^-p in the loss.
        both_orders: Whether to train on every entity pair in both orders, see `with_both_orders`.
        share: Share of the training rows, drawn with the run's seed.
        sampling: `"random"` as in the paper, or `"stratified"`: the share of each relation, and at least one row.
        crop_count: Whether every post gets blank images, one plus the number of its published crops (at most
            `num_objects`), see `rows.py`.
        control: Perturbation of the rows in training and scoring, see `PerturbedDataset`.
        control_share: Share of the eligible rows that are perturbed.
        caption_path: Where captions enter TGDI, one of `CAPTION_PATHS`.
        caption_dropout: Share of the captions that are left out in training.
        swapped_captions: Share of the captions that are exchanged for others of the batch in training.
        scored_under: Perturbations of the rows that the trained model is scored under as well, see `PerturbedDataset`.
        same_as: `GROUP/NAME` of an identical experiment under another title, so that it runs only once.

    Raises:
        ValueError: A share out of range, an unknown control, sampling or path of captions, or a preset of a baseline.
    """

    group: str
    name: str
    title: str
    model: str = "tgdi"
    preset: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    use_caption: bool = True
    config: dict[str, Any] = field(default_factory=dict)
    fusion_learning_rate: float | None = None
    dropout: float | None = None
    class_weights: float = 0.0
    both_orders: bool = False
    share: float = 1.0
    sampling: str = "random"
    crop_count: bool = False
    control: str | None = None
    control_share: float = 1.0
    caption_path: str = "text"
    caption_dropout: float = 0.0
    swapped_captions: float = 0.0
    scored_under: list[str] = field(default_factory=list)
    same_as: str | None = None

    def __post_init__(self):
        if not (0 < self.share <= 1 and 0 < self.control_share <= 1):
            raise ValueError(
                f"{self.group}/{self.name}: `share` is {self.share} and `control_share` {self.control_share}; expected "
                "more than 0 and at most 1."
            )
        if self.class_weights and self.both_orders:
            raise ValueError(
                f"{self.group}/{self.name}: `class_weights` count rows in their listed order; leave out `both_orders`."
            )
        if self.caption_dropout < 0 or self.swapped_captions < 0 or self.caption_dropout + self.swapped_captions > 1:
            raise ValueError(
                f"{self.group}/{self.name}: `caption_dropout` is {self.caption_dropout} and `swapped_captions` "
                f"{self.swapped_captions}; expected shares from 0 to 1, and at most 1 together."
            )
        for control in ([] if self.control is None else [self.control]) + self.scored_under:
            if control not in CONTROLS:
                raise ValueError(
                    f"{self.group}/{self.name}: unknown control {control!r}; expected one of {', '.join(CONTROLS)}."
                )
        if self.caption_path not in CAPTION_PATHS:
            raise ValueError(
                f"{self.group}/{self.name}: unknown path of the captions {self.caption_path!r}; expected one of "
                f"{', '.join(CAPTION_PATHS)}."
            )
        changed = self.caption_path != "text" or self.caption_dropout or self.swapped_captions
        if changed and (self.model != "tgdi" or self.preset or self.config or self.control or not self.use_caption):
            raise ValueError(
                f"{self.group}/{self.name}: changes where or when TGDI reads captions, which is implemented for its "
                "default configuration with captions only. Leave out `model`, `preset`, `config`, `control` and "
                "`use_caption`."
            )
        if self.sampling not in SAMPLINGS:
            raise ValueError(
                f"{self.group}/{self.name}: unknown sampling {self.sampling!r}; expected one of {', '.join(SAMPLINGS)}."
            )
        if self.preset is not None and self.model != "tgdi":
            raise ValueError(
                f"{self.group}/{self.name}: `preset` is {self.preset!r}, and only TGDI has presets; the model is "
                f"{self.model!r}. Leave it out."
            )

    @property
    def run(self) -> str:
        """File name of its runs, without the seed."""
        return self.same_as or f"{self.group}/{self.name}"


def read_experiments(group: str, folder: Path = CONFIGS) -> list[Experiment]:
    r"""
    The experiments of a group: the rows of the paper's Table 2 in its order, then the others by file name.

    Raises:
        ValueError: An unknown group, or an unknown key in a file.
    """
    files = sorted((folder / group).glob("*.json"))
    if not files:
        groups = sorted(path.name for path in folder.iterdir() if path.is_dir())
        raise ValueError(f"Unknown group {group!r}; expected one of {', '.join(groups)}.")
    known = {of.name for of in fields(Experiment)} - {"group", "name"}
    experiments = []
    for file in files:
        values = json.loads(file.read_text(encoding="utf-8"))
        if unknown := sorted(values.keys() - known):
            raise ValueError(f"{file}: unknown keys {', '.join(unknown)}; expected some of {', '.join(sorted(known))}.")
        if "same_as" in values:
            values = {**json.loads((folder / f"{values['same_as']}.json").read_text(encoding="utf-8")), **values}
        experiments.append(Experiment(group, file.stem, **values))
    order = list(TABLE_2)
    return sorted(experiments, key=lambda one: order.index(one.name) if one.name in order else len(order))


def what_ran(experiment: dict[str, Any]) -> dict[str, Any]:
    """An experiment's settings without names and defaults, so that fields added later change nothing."""
    if experiment.get("share", 1) < 1:
        experiment = {"sampling": "stratified", **experiment}  # early runs, all stratified, did not record it
    called = ("group", "name", "title", "same_as")
    default = asdict(Experiment("", "", ""))
    return {
        name: value for name, value in experiment.items() if name not in called and value != default.get(name, value)
    }

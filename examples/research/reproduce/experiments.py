"""The experiments: a small JSON file each, in a folder a table or figure."""

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from tgdi_hf.data.perturbed import CONTROLS

CONFIGS = Path(__file__).parent / "configs"


@dataclass(frozen=True)
class Experiment:
    r"""
    What a run differs in from the others; everything else is the same for all.

    Args:
        group: The folder of its file: the table or figure that it belongs to.
        name: The name of its file.
        title: What the table calls it.
        model: `"tgdi"`, or one of `examples.research.baselines.BASELINES`.
        arguments: Fields of `TrainingArguments` in place of those of the common recipe.
        use_caption: Whether captions are read.
        config: Fields of the model's configuration.
        fusion_learning_rate: Of what starts from random weights, see `optimizer_for`; by default that of the encoders.
        dropout: In place of that of the encoders and of everything else, in training.
        class_weights: Weigh a relation's rows in the loss by their number to the power of minus this.
        both_orders: Whether every pair is trained on in both orders, see `with_both_orders`.
        share: Of the training rows, drawn with the run's seed, the same share of every relation.
        crop_count: Whether every post gets blank images, as many as crops were published for it up
            to `num_objects`, and one more (see `rows.py`).
        control: What the rows are changed by, in training and when scored, see `PerturbedDataset`.
        control_share: Of the rows that it could change, the share that it does.
        same_as: `GROUP/NAME` of the experiment that this one is under another title; it is run once.

    Raises:
        ValueError: A share that is none, or a control that there is not.
    """

    group: str
    name: str
    title: str
    model: str = "tgdi"
    arguments: dict[str, Any] = field(default_factory=dict)
    use_caption: bool = True
    config: dict[str, Any] = field(default_factory=dict)
    fusion_learning_rate: float | None = None
    dropout: float | None = None
    class_weights: float = 0.0
    both_orders: bool = False
    share: float = 1.0
    crop_count: bool = False
    control: str | None = None
    control_share: float = 1.0
    same_as: str | None = None

    def __post_init__(self):
        if not (0 < self.share <= 1 and 0 < self.control_share <= 1):
            raise ValueError(
                f"{self.group}/{self.name}: `share` is {self.share} and `control_share` {self.control_share}; expected "
                "more than 0, and 1 at the most."
            )
        if self.class_weights and self.both_orders:
            raise ValueError(f"{self.group}/{self.name}: `class_weights` are those of the rows as they are listed.")
        if self.control is not None and self.control not in CONTROLS:
            raise ValueError(f"{self.group}/{self.name}: no control {self.control!r}; there are {', '.join(CONTROLS)}.")

    @property
    def run(self) -> str:
        """What the files of its runs are called, less the seed."""
        return self.same_as or f"{self.group}/{self.name}"


def read_experiments(group: str, folder: Path = CONFIGS) -> list[Experiment]:
    r"""
    The experiments of a group, in the order of their files' names.

    Raises:
        ValueError: There is no such group, or a file has a key that no experiment has.
    """
    files = sorted((folder / group).glob("*.json"))
    if not files:
        groups = sorted(path.name for path in folder.iterdir() if path.is_dir())
        raise ValueError(f"There is no group {group!r}; there are {', '.join(groups)}.")
    known = {of.name for of in fields(Experiment)} - {"group", "name"}
    experiments = []
    for file in files:
        values = json.loads(file.read_text(encoding="utf-8"))
        if unknown := sorted(values.keys() - known):
            raise ValueError(f"{file}: no experiment has {', '.join(unknown)}; it may have {', '.join(sorted(known))}.")
        if "same_as" in values:
            values = {**json.loads((folder / f"{values['same_as']}.json").read_text(encoding="utf-8")), **values}
        experiments.append(Experiment(group, file.stem, **values))
    return experiments

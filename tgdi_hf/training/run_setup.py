"""What a training and a hyperparameter search determine before they build a model, and record about it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from datasets import DatasetDict

from ..checkpoints import HUB_OPTIONS, hub_access
from ..data.labels import label_names
from ..modeling.modeling_tgdi import TGDIForRelationExtraction
from ..processing.processing_tgdi import TGDIProcessor
from .build import build_model, with_label_fields
from .recipe import PRESET_SWAPS


class RunSetup(NamedTuple):
    r"""
    The encoders, labels and options that all models of a run share.

    Args:
        text_model, vision_model: See `fine_tune`.
        names: The relations in the order of their ids.
        model_options: Arguments of `build_model`, with the fields that follow from the labels.
        swap_images: The share of training rows with the image of another post.
        access: Arguments of `build_model` for the Hub, with the commits of the encoders; never recorded.
        recorded: What distinguishes the run from others, as plain JSON.
    """

    text_model: str | Path
    vision_model: str | Path
    names: list[str]
    model_options: dict[str, Any]
    swap_images: float
    access: dict[str, Any]
    recorded: dict[str, Any]

    def build(self, **options: Any) -> tuple[TGDIForRelationExtraction, TGDIProcessor]:
        """A new model and its processor; `options` override those of the run."""
        return build_model(
            self.names, str(self.text_model), str(self.vision_model), **self.access, **{**self.model_options, **options}
        )


def check_splits(dataset: DatasetDict) -> None:
    """Raises ValueError unless there are rows to train on and others to select the best epoch by."""
    for split in ("train", "validation"):
        if split not in dataset or not len(dataset[split]):
            raise ValueError(
                f"Training reads the split 'train', and selects the best epoch by F1 on 'validation'; {split!r} has no "
                f"rows, and the splits are {', '.join(dataset)}. Set some posts aside: `tgdi import "
                "--split 0.8 0.2 0`, or a file validation.jsonl before `tgdi prepare`."
            )


def run_setup(
    dataset: DatasetDict,
    text_model: str | Path,
    vision_model: str | Path,
    model_options: Mapping[str, Any] | None,
    swap_images: float | None,
    text_revision: str | None,
    vision_revision: str | None,
    hub: dict[str, Any],
    caller: str,
) -> RunSetup:
    r"""
    Args:
        dataset: The rows, whose labels name the relations.
        text_model, vision_model, model_options, swap_images, text_revision, vision_revision: See `fine_tune`.
        hub: `token`, `cache_dir` and `local_files_only`, see `hub_access`.
        caller: The function that takes these arguments, for errors.

    Raises:
        ValueError: `model_options`, which is recorded, has an option for the Hub; an unknown preset; or a local folder
            has a revision.
    """
    options = dict(model_options or {})
    if misplaced := {"text_revision", "vision_revision", *HUB_OPTIONS} & set(options):
        raise ValueError(
            f"`model_options` has {', '.join(sorted(misplaced))}; pass it as an argument of `{caller}`, because "
            "`model_options` is recorded in the output folder."
        )
    text_access, text_commit = hub_access(text_model, text_revision, **hub)
    vision_access, vision_commit = hub_access(vision_model, vision_revision, **hub)
    names, multi_label = label_names(dataset)
    preset = options.get("preset", "default")
    options = with_label_fields(names, options, multi_label, preset)
    swap_images = PRESET_SWAPS.get(preset, 0.0) if swap_images is None else swap_images
    recorded = {
        "text_model": str(text_model),
        "vision_model": str(vision_model),
        "text_revision": text_commit or text_revision,
        "vision_revision": vision_commit or vision_revision,
        "model_options": options,
        "swap_images": swap_images or None,  # as in runs that started before the option existed
    }
    access = {
        **hub,
        "text_revision": text_access.get("revision"),
        "vision_revision": vision_access.get("revision"),
    }
    return RunSetup(text_model, vision_model, names, options, swap_images, access, recorded)

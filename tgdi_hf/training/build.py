"""Building a model and its processor from two pretrained encoders."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import AutoConfig

from ..checkpoints import explain_hub_errors, hub_access
from ..data.entity_order import count_inverses
from ..modeling.configuration_presets import preset_fields
from ..modeling.modeling_tgdi import TGDIForRelationExtraction
from ..modeling.negative_label import AUTO, MULTI_LABEL, NEGATIVE, find_negative
from ..processing.image_resizing import SQUASH
from ..processing.processing_tgdi import TGDIProcessor


def with_label_fields(
    names: Sequence[str], config: Mapping[str, Any], multi_label: bool = False, preset: str = "default"
) -> dict[str, Any]:
    r"""
    Adds the fields of `TGDIConfig` that follow from the labels, unless they are set: `negative_label`; `problem_type`
    for data with several labels per row; and `inverse_labels` with `direction_balanced`.

    Args:
        names: The labels in the order of their ids.
        config: Fields of `TGDIConfig`.
        multi_label: Whether a row may have several labels.
        preset: The preset that `config` overrides, see `TGDIConfig.from_preset`.

    Raises:
        ValueError: An unknown preset, or the label for no relation cannot be determined, see `find_negative`.
    """
    fields = {**({"problem_type": MULTI_LABEL} if multi_label else {}), **config}
    if fields.get("problem_type") == MULTI_LABEL:
        fields.pop("negative_label", None)  # already dropped from the rows, and not a label of the model
        return fields
    negative = find_negative(names, fields.get("negative_label", AUTO))
    if negative != NEGATIVE:  # the default
        fields["negative_label"] = negative
    if {**preset_fields(preset), **fields}.get("direction_balanced"):
        fields.setdefault("inverse_labels", count_inverses(names, fields.get("symmetric_relations"), negative))
    return fields


def build_model(
    names: list[str],
    text_model: str,
    vision_model: str,
    *,
    use_caption: bool = True,
    preset: str = "default",
    freeze_vision: bool = True,
    max_length: int | None = None,
    image_resize: str | None = None,
    object_resize: str | None = None,
    text_revision: str | None = None,
    vision_revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    **config: Any,
) -> tuple[TGDIForRelationExtraction, TGDIProcessor]:
    r"""
    Builds a model for fine-tuning, and its processor, from two pretrained encoders.

    Args:
        names: The relations in the order of their ids.
        text_model: Text encoder, a name on the Hub or a folder.
        vision_model: Vision encoder with its image processor, a name on the Hub or a folder.
        use_caption: Whether the processor appends captions to the text.
        preset: See `TGDIConfig.from_preset`.
        freeze_vision: Whether the vision encoder keeps its weights.
        max_length: Maximum length of text and caption together, in tokens; by default the limit of the tokenizer.
        image_resize: How whole images are resized, `"crop"` or `"squash"`, see `TGDIProcessor`. The preset `"paper"`
            and `object_features="regions"` squash them by default.
        object_resize: How objects are resized, likewise.
        text_revision: Branch, tag or commit of the text encoder on the Hub. Weights, configuration and tokenizer come
            from the same commit, which the configuration of the model records.
        vision_revision: Branch, tag or commit of the vision encoder and its image processor on the Hub, likewise.
        token: See `hub_access`.
        cache_dir: See `hub_access`.
        local_files_only: See `hub_access`.
        config: Fields of `TGDIConfig`; they override the preset. `num_objects` and `object_features` are also options
            of the processor. With `direction_balanced` the model also learns the inverses of relations
            (`inverse_labels`), unless that is set to 0.

    Raises:
        ValueError: The label for no relation cannot be determined: set `negative_label`; or an encoder could not be
            loaded.
    """
    config = with_label_fields(names, config, preset=preset)
    if preset == "paper":  # which rescales all images to 224 × 224
        image_resize, object_resize = (SQUASH if way is None else way for way in (image_resize, object_resize))
    hub: dict[str, Any] = {"token": token, "cache_dir": cache_dir, "local_files_only": local_files_only}
    loading: dict[str, Any] = {
        "text_kwargs": hub_access(text_model, text_revision, **hub)[0],
        "vision_kwargs": hub_access(vision_model, vision_revision, **hub)[0],
    }
    for what, name in (("text", text_model), ("vision", vision_model)):
        # First, because the error of a tokenizer that cannot be found names other causes.
        advice = f" Pass the folder of a downloaded encoder as `{what}_model` (--{what}-model)."
        with explain_hub_errors(name, advice):
            AutoConfig.from_pretrained(name, trust_remote_code=False, **loading[f"{what}_kwargs"])
    processor = TGDIProcessor.from_text_vision_pretrained(
        text_model,
        vision_model,
        **loading,
        num_objects=config.get("num_objects", 3),
        use_caption=use_caption,
        max_length=max_length,
        image_resize=image_resize,
        object_resize=object_resize,
        object_features=config.get("object_features", "crops"),
    )
    model = TGDIForRelationExtraction.from_text_vision_pretrained(
        text_model,
        vision_model,
        tokenizer=processor.tokenizer,
        id2label=dict(enumerate(names)),
        label2id={name: i for i, name in enumerate(names)},
        **loading,
        preset=preset,
        freeze_vision=freeze_vision,
        **config,
    )
    return model, processor

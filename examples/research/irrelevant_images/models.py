"""The models of the benchmark, all with the same tiny encoders."""

from collections.abc import Callable
from typing import Any, NamedTuple

from examples.research.baselines import (
    Baseline,
    BaselineConfig,
    HVPNeTForRelationExtraction,
    MKGformerForRelationExtraction,
)
from tgdi_hf.data.labels import label_names
from tgdi_hf.demo.demo import TEXT_ONLY
from tgdi_hf.demo.tiny_model import tiny_tgdi
from tgdi_hf.modeling.configuration_presets import preset_fields
from tgdi_hf.training.build import with_label_fields
from tgdi_hf.training.recipe import PRESET_SWAPS


def tiny_baseline(model_class: type[Baseline], corpus, **options):
    """A baseline with the tiny TGDI's encoders, and its processor."""
    model, processor = tiny_tgdi(corpus, **options)
    of = model.config
    config = BaselineConfig(
        text_config=of.text_config.to_dict(), vision_config=of.vision_config.to_dict(), num_objects=0, use_caption=True,
        id2label=of.id2label, label2id=of.label2id, prefix_size=of.text_config.hidden_size,
    )  # fmt: skip
    return model_class(config), processor


def tiny_hvpnet(corpus, **options):
    return tiny_baseline(HVPNeTForRelationExtraction, corpus, **options)


def tiny_mkgformer(corpus, **options):
    return tiny_baseline(MKGformerForRelationExtraction, corpus, **options)


def tiny_application(corpus, **options):
    """The tiny TGDI with a class per inverse relation, as `build_model` gives to models of both orders."""
    names = label_names(corpus)[0]
    return tiny_tgdi(corpus, **with_label_fields(names, options))


class Variant(NamedTuple):
    r"""
    Args:
        options: Arguments of `build`.
        swap_images: The share of training images that are swapped.
        build: Builds the untrained model and its processor from a corpus and the options.
    """

    options: dict[str, Any] = {}
    swap_images: float = 0.0
    build: Callable = tiny_tgdi


SWAPPED = PRESET_SWAPS["application"]  # of the images in training
APPLICATION = preset_fields("application")
ROBUST = {name: value for name, value in APPLICATION.items() if name != "direction_balanced"}
MODELS = {
    "text only": Variant(TEXT_ONLY),
    "HVPNeT-style": Variant(build=tiny_hvpnet),
    "MKGformer-style": Variant(build=tiny_mkgformer),
    "TGDI": Variant(),
    "TGDI, matching loss": Variant({"matching_loss_weight": 1.0}),
    "HVPNeT-style, swaps": Variant({}, SWAPPED, tiny_hvpnet),
    "MKGformer-style, swaps": Variant({}, SWAPPED, tiny_mkgformer),
    "TGDI, swaps": Variant({}, SWAPPED),
    "TGDI, robust": Variant(ROBUST, SWAPPED),
    "TGDI, application": Variant(APPLICATION, SWAPPED, tiny_application),
}

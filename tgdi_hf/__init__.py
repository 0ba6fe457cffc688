"""TGDI: Text-Guided Dual Interaction for multimodal relation extraction, the Hugging Face way."""

from importlib import import_module
from typing import TYPE_CHECKING

from .modeling.configuration_tgdi import TGDIConfig
from .modeling.modeling_tgdi import TGDIForRelationExtraction, TGDIModel
from .processing.invalid_post import InvalidPost
from .processing.pipeline_tgdi import MultimodalRelationExtractionPipeline
from .processing.processing_tgdi import TGDIProcessor
from .registration import register

if TYPE_CHECKING:
    from .collator import TGDICollator
    from .hub import push_to_hub, save_for_hub
    from .metric import MNREMetric, compute_metrics, make_compute_metrics
    from .mnre import RELATIONS, load_mnre
    from .posts import undecoded
    from .prediction import predict
    from .preparation import prepare
    from .processing.image_captioner import ImageCaptioner
    from .processing.object_grounder import ObjectGrounder
    from .synthetic import make_corpus
    from .training import evaluate, fine_tune

__version__ = "0.1.0"

# Loaded when first used: they need datasets, evaluate or Trainer, which prediction does without.
_LAZY = {
    "TGDICollator": "collator",
    "MNREMetric": "metric",
    "compute_metrics": "metric",
    "make_compute_metrics": "metric",
    "RELATIONS": "mnre",
    "load_mnre": "mnre",
    "predict": "prediction",
    "ImageCaptioner": "processing.image_captioner",
    "ObjectGrounder": "processing.object_grounder",
    "prepare": "preparation",
    "make_corpus": "synthetic",
    "evaluate": "training",
    "fine_tune": "training",
    "undecoded": "posts",
    "push_to_hub": "hub",
    "save_for_hub": "hub",
}

__all__ = [
    "InvalidPost",
    "MultimodalRelationExtractionPipeline",
    "TGDIConfig",
    "TGDIForRelationExtraction",
    "TGDIModel",
    "TGDIProcessor",
    *_LAZY,
]

register()


def __getattr__(name: str):
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_LAZY[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_LAZY))

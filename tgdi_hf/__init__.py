"""TGDI: Text-Guided Dual Interaction for multimodal relation extraction, the Hugging Face way."""

from importlib import import_module
from typing import TYPE_CHECKING

from .checkout import find_subpackages
from .registration import register_with_transformers

if TYPE_CHECKING:
    from .collator import TGDICollator
    from .evaluation import evaluate, evaluation_report
    from .hub import push_to_hub, save_for_hub
    from .metric import MNREMetric, compute_metrics, make_compute_metrics
    from .mnre import RELATIONS, load_mnre
    from .modeling.configuration_tgdi import TGDIConfig
    from .modeling.modeling_tgdi import TGDIForRelationExtraction, TGDIModel
    from .posts import undecoded
    from .prediction import predict
    from .preparation import prepare
    from .processing.image_captioner import ImageCaptioner
    from .processing.invalid_post import InvalidPost
    from .processing.object_grounder import ObjectGrounder
    from .processing.pipeline_tgdi import MultimodalRelationExtractionPipeline
    from .processing.processing_tgdi import TGDIProcessor
    from .synthetic import make_corpus
    from .training import fine_tune

__version__ = "0.1.0"

# Loaded when first used.
_LAZY = {
    "ImageCaptioner": "processing.image_captioner",
    "InvalidPost": "processing.invalid_post",
    "MNREMetric": "metric",
    "MultimodalRelationExtractionPipeline": "processing.pipeline_tgdi",
    "ObjectGrounder": "processing.object_grounder",
    "RELATIONS": "mnre",
    "TGDICollator": "collator",
    "TGDIConfig": "modeling.configuration_tgdi",
    "TGDIForRelationExtraction": "modeling.modeling_tgdi",
    "TGDIModel": "modeling.modeling_tgdi",
    "TGDIProcessor": "processing.processing_tgdi",
    "compute_metrics": "metric",
    "evaluate": "evaluation",
    "evaluation_report": "evaluation",
    "fine_tune": "training",
    "load_mnre": "mnre",
    "make_compute_metrics": "metric",
    "make_corpus": "synthetic",
    "predict": "prediction",
    "prepare": "preparation",
    "push_to_hub": "hub",
    "save_for_hub": "hub",
    "undecoded": "posts",
}

__all__ = [*_LAZY]

find_subpackages()
register_with_transformers()


def __getattr__(name: str):
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_LAZY[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_LAZY))

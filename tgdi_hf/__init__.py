"""TGDI (Text-Guided Dual Interaction): multimodal relation extraction with Hugging Face libraries."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .checkout import find_subpackages
from .registration import register_with_transformers

if TYPE_CHECKING:
    from .annotations.import_annotations import import_annotations
    from .data.collator import TGDICollator
    from .data.dataset_columns import undecoded
    from .data.mnre import load_mnre
    from .data.mnre_schema import RELATIONS
    from .demo.corpus import make_corpus
    from .evaluation.metric import MNREMetric, compute_metrics, make_compute_metrics
    from .evaluation.report import evaluation_report
    from .evaluation.scoring import evaluate
    from .hub.upload import push_to_hub, save_for_hub
    from .inference.pre_annotation import PreAnnotator
    from .inference.prediction import predict
    from .modeling.configuration_tgdi import TGDIConfig
    from .modeling.modeling_tgdi import TGDIForRelationExtraction, TGDIModel
    from .preparation.image_captioner import ImageCaptioner
    from .preparation.object_grounder import ObjectGrounder
    from .preparation.prepare import prepare
    from .processing.invalid_post import InvalidPost
    from .processing.pipeline_tgdi import MultimodalRelationExtractionPipeline
    from .processing.processing_tgdi import TGDIProcessor
    from .training.fine_tuning import fine_tune

__version__ = "0.1.0"

# Public name -> module, imported on first access: torch and transformers take seconds to import.
_LAZY = {
    "ImageCaptioner": "preparation.image_captioner",
    "InvalidPost": "processing.invalid_post",
    "MNREMetric": "evaluation.metric",
    "MultimodalRelationExtractionPipeline": "processing.pipeline_tgdi",
    "ObjectGrounder": "preparation.object_grounder",
    "PreAnnotator": "inference.pre_annotation",
    "RELATIONS": "data.mnre_schema",
    "TGDICollator": "data.collator",
    "TGDIConfig": "modeling.configuration_tgdi",
    "TGDIForRelationExtraction": "modeling.modeling_tgdi",
    "TGDIModel": "modeling.modeling_tgdi",
    "TGDIProcessor": "processing.processing_tgdi",
    "compute_metrics": "evaluation.metric",
    "evaluate": "evaluation.scoring",
    "evaluation_report": "evaluation.report",
    "fine_tune": "training.fine_tuning",
    "import_annotations": "annotations.import_annotations",
    "load_mnre": "data.mnre",
    "make_compute_metrics": "evaluation.metric",
    "make_corpus": "demo.corpus",
    "predict": "inference.prediction",
    "prepare": "preparation.prepare",
    "push_to_hub": "hub.upload",
    "save_for_hub": "hub.upload",
    "undecoded": "data.dataset_columns",
}

__all__ = [*_LAZY]

find_subpackages()
register_with_transformers()


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_LAZY[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_LAZY))

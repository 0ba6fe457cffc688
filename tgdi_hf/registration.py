"""Makes the Auto classes of transformers know TGDI, at run time and in saved checkpoints."""

from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoProcessor
from transformers.pipelines import PIPELINE_REGISTRY

from .modeling.configuration_tgdi import TGDIConfig
from .modeling.modeling_tgdi import TGDIForRelationExtraction, TGDIModel
from .processing.pipeline_tgdi import TASK, MultimodalRelationExtractionPipeline
from .processing.processing_tgdi import TGDIProcessor


def register() -> None:
    """Registers the classes; a second call changes nothing."""
    AutoConfig.register(TGDIConfig.model_type, TGDIConfig, exist_ok=True)
    AutoModel.register(TGDIConfig, TGDIModel, exist_ok=True)
    AutoModelForSequenceClassification.register(TGDIConfig, TGDIForRelationExtraction, exist_ok=True)
    AutoProcessor.register(TGDIConfig, TGDIProcessor, exist_ok=True)
    if TASK not in PIPELINE_REGISTRY.supported_tasks:  # a second registration would warn
        PIPELINE_REGISTRY.register_pipeline(
            TASK,
            MultimodalRelationExtractionPipeline,
            # By its Auto class: a custom class could not be named in a checkpoint.
            pt_model=AutoModelForSequenceClassification,
            type="multimodal",
        )
    # Saved checkpoints carry the code, and name it in `auto_map`, for machines without this package.
    TGDIConfig.register_for_auto_class()
    TGDIModel.register_for_auto_class("AutoModel")
    TGDIForRelationExtraction.register_for_auto_class("AutoModelForSequenceClassification")
    TGDIProcessor.register_for_auto_class()

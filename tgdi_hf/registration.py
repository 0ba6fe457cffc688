"""Makes the Auto classes of transformers know TGDI, at run time and in saved checkpoints."""

from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoProcessor

from .modeling.configuration_tgdi import TGDIConfig
from .modeling.modeling_tgdi import TGDIForRelationExtraction, TGDIModel
from .processing.processing_tgdi import TGDIProcessor


def register() -> None:
    """Registers the classes; a second call changes nothing."""
    AutoConfig.register(TGDIConfig.model_type, TGDIConfig, exist_ok=True)
    AutoModel.register(TGDIConfig, TGDIModel, exist_ok=True)
    AutoModelForSequenceClassification.register(TGDIConfig, TGDIForRelationExtraction, exist_ok=True)
    AutoProcessor.register(TGDIConfig, TGDIProcessor, exist_ok=True)
    # Saved checkpoints carry the code, and name it in `auto_map`, for machines without this package.
    TGDIConfig.register_for_auto_class()
    TGDIModel.register_for_auto_class("AutoModel")
    TGDIForRelationExtraction.register_for_auto_class("AutoModelForSequenceClassification")
    TGDIProcessor.register_for_auto_class()

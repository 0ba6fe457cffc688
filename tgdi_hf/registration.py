"""Makes the Auto classes and the pipelines of transformers know TGDI, at run time and in saved checkpoints."""

import importlib.util
import sys
from importlib.abc import MetaPathFinder


def register() -> None:
    """Registers the classes; a second call changes nothing."""
    from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoProcessor
    from transformers.pipelines import PIPELINE_REGISTRY

    from .hub.checkpoint_code import write_code
    from .modeling.configuration_tgdi import TGDIConfig
    from .modeling.modeling_tgdi import TGDIForRelationExtraction, TGDIModel
    from .processing.pipeline_tgdi import TASK, MultimodalRelationExtractionPipeline
    from .processing.processing_tgdi import TGDIProcessor

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
    TGDIConfig._write_code = TGDIProcessor._write_code = staticmethod(write_code)


def register_with_transformers() -> None:
    r"""
    Registers now if transformers is there, and otherwise as soon as it is imported, by whomever.

    Importing it, and torch with it, takes seconds, which `tgdi --help` and programs that may need no model should not
    wait for.
    """
    if "transformers" in sys.modules:
        register()
    else:
        sys.meta_path.insert(0, _AfterTransformers())


class _AfterTransformers(MetaPathFinder):
    """Finds transformers where it is, and has `register` called when it has been loaded."""

    def __init__(self):
        self._asking = False

    def find_spec(self, name, path=None, target=None):
        if name != "transformers" or self._asking:
            return None
        self._asking = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._asking = False
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            # Not before: whoever only asks whether it is installed gets a spec, too, and loads nothing.
            def load_and_register(module):
                sys.meta_path.remove(self)
                load(module)
                register()

            spec.loader.exec_module = load_and_register
        return spec

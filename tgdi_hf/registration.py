"""Registration of TGDI with the Auto classes and pipelines of transformers, at run time and in saved checkpoints."""

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


def register() -> None:
    """Registers configuration, models, processor and pipeline. Idempotent."""
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
    if TASK not in PIPELINE_REGISTRY.supported_tasks:  # registering a task twice warns
        PIPELINE_REGISTRY.register_pipeline(
            TASK,
            MultimodalRelationExtractionPipeline,
            # The Auto class: checkpoints cannot name a custom class.
            pt_model=AutoModelForSequenceClassification,
            type="multimodal",
        )
    # Saved checkpoints contain the code and name it in `auto_map`, for machines without this package.
    TGDIConfig.register_for_auto_class()
    TGDIModel.register_for_auto_class("AutoModel")
    TGDIForRelationExtraction.register_for_auto_class("AutoModelForSequenceClassification")
    TGDIProcessor.register_for_auto_class()
    TGDIConfig._write_code = TGDIProcessor._write_code = write_code


def register_with_transformers() -> None:
    r"""
    Registers TGDI now if transformers is imported already, and otherwise right after it is imported.

    Importing transformers, and torch with it, takes seconds, which `tgdi --help` and programs that need no model
    should not spend.
    """
    if "transformers" in sys.modules:
        register()
    else:
        sys.meta_path.insert(0, _RegisterAfterImport())


class _RegisterAfterImport(MetaPathFinder):
    """Import hook that calls `register` once transformers has been executed, and removes itself then."""

    def __init__(self) -> None:
        self._delegating = False

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "transformers" or self._delegating:
            return None
        self._delegating = True  # the search below comes back to this finder
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._delegating = False
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            # On execution rather than here: callers that only test whether transformers is installed get a spec, too.
            def execute_and_register(module: ModuleType) -> None:
                sys.meta_path.remove(self)
                execute(module)
                register()

            spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]  # the hook on this one loader
        return spec

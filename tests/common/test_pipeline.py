"""transformers' `PipelineTesterMixin` on `MultimodalRelationExtractionPipeline`."""

import unittest
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pytest
from transformers import BertTokenizer, ViTImageProcessorPil, set_seed

from tgdi_hf import MultimodalRelationExtractionPipeline, TGDIForRelationExtraction, TGDIProcessor, make_corpus
from tgdi_hf.demo.tiny_model import tiny_tgdi
from tgdi_hf.processing.pipeline_tgdi import TASK

from .skips import WithSkips
from .upstream import load_or_skip

upstream = load_or_skip("test_pipeline_mixin")
pytestmark = pytest.mark.slow
CLASSES = SimpleNamespace(
    BertTokenizer=BertTokenizer, TGDIProcessor=TGDIProcessor, ViTImageProcessorPil=ViTImageProcessorPil
)
FOREIGN = [name for name in vars(upstream.PipelineTesterMixin) if name.startswith("test_pipeline_")]


class RelationExtractionPipelineTests:
    """What the mixin runs for the task."""

    def get_test_pipeline(self, model, tokenizer, image_processor, processor, dtype):
        pipe = MultimodalRelationExtractionPipeline(model=model, processor=processor, dtype=dtype)
        return pipe, [*make_corpus({"train": 1, "validation": 1, "test": 12})["test"]]

    def run_pipeline_test(self, pipe, posts):
        one, several, streamed = pipe(posts[0]), pipe(posts), [*pipe(iter(posts), batch_size=5)]
        assert isinstance(one, dict)
        assert isinstance(several, list) and len(several) == len(streamed) == len(posts)
        for result in (one, *several, *streamed):
            assert {"head", "tail", "relation", "score", "relations", "gate"} <= result.keys()
            assert result["relation"] in pipe.model.config.label2id and 0 <= result["score"] <= 1
        assert one["relation"] == several[0]["relation"] == streamed[0]["relation"]
        assert len(pipe(posts[0], top_k=2)["relations"]) == 2
        with pytest.raises(ValueError, match="The post is 'text'"):
            pipe("text")


@pytest.fixture(scope="module", autouse=True)
def tiny_models():
    """A folder of tiny checkpoints in the place of those on the Hub, and the mixin's entries for the task."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as monkeypatch:
        set_seed(0)
        for part in tiny_tgdi(make_corpus({"train": 96, "validation": 8, "test": 8})):
            part.save_pretrained(Path(folder, "tgdi", "TGDIForRelationExtraction"))
        of_model = {"tokenizer_classes": ["BertTokenizer"], "processor_classes": ["ViTImageProcessorPil"]}
        monkeypatch.setitem(upstream.tiny_model_summary, "TGDIForRelationExtraction", of_model)
        monkeypatch.setitem(
            upstream.pipeline_test_mapping, TASK, {"test": f"{__name__}.{RelationExtractionPipelineTests.__name__}"}
        )
        monkeypatch.setattr(upstream, "TRANSFORMERS_TINY_MODEL_PATH", folder)
        monkeypatch.setattr(upstream, "PROCESSOR_MAPPING_NAMES", {"tgdi": "TGDIProcessor"})
        monkeypatch.setattr(upstream, "transformers_module", CLASSES)
        yield


class TGDIPipelineTest(WithSkips, upstream.PipelineTesterMixin, unittest.TestCase):
    mixin = upstream.PipelineTesterMixin
    pipeline_model_mapping = {TASK: TGDIForRelationExtraction}
    skipped = dict.fromkeys(FOREIGN, f"TGDI has one task, {TASK}; this is a test of another one")
    added = {"test_pipeline_relation_extraction", "test_pipeline_relation_extraction_half_precision"}

    def test_pipeline_relation_extraction(self):
        self.run_task_tests(TASK)

    def test_pipeline_relation_extraction_half_precision(self):
        for dtype in ("float16", "bfloat16"):
            with self.subTest(dtype):
                self.run_task_tests(TASK, dtype=dtype)

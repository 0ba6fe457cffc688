import pytest
from PIL import Image

from tgdi_hf import MultimodalRelationExtractionPipeline, predict
from tgdi_hf.export.exported_model import ExportedTGDI
from tgdi_hf.export.manifest import ONNX, OPENVINO
from tgdi_hf.export.pipeline_loading import load_pipeline

IMAGE = Image.new("RGB", (80, 60), "teal")
POSTS = [
    {"text": "Ann meets Bob in Rome", "head": "Ann", "tail": "Bob", "image": IMAGE, "objects": [[5, 5, 40, 40]]},
    {"text": "Ann meets Bob", "entities": ["Ann", "Bob"], "image": IMAGE, "caption": "a red car"},
    {"text": "Ann meets Bob", "head": "Ann", "tail": "Bob"},
]


@pytest.fixture(params=[ONNX, OPENVINO])
def folder(request):
    return request.getfixturevalue(f"{request.param}_folder")


def test_results_are_those_of_the_checkpoint(folder, source):
    pipe = load_pipeline(folder)
    expected = MultimodalRelationExtractionPipeline(*source)
    for one, two in ((POSTS, POSTS), ([POSTS[2]], [POSTS[2]])):
        assert _rounded(pipe(one, top_k=3, pairs="independent")) == _rounded(
            expected(two, top_k=3, pairs="independent")
        )
    assert pipe(POSTS[0])["gate"] is not None and pipe(POSTS[2])["gate"] is None


def test_batches_in_several_passes(folder):
    pipe = load_pipeline(folder)
    assert _rounded(pipe(POSTS, max_batch_tokens=1, pairs=0.0)) == _rounded(pipe(POSTS, pairs=0.0))


def test_predict_takes_an_exported_model(folder, source):
    results = [*predict(ExportedTGDI(folder), source[1], POSTS[:1])]
    assert _rounded(results) == _rounded(load_pipeline(folder)(POSTS[:1]))


def test_evidence_requires_the_checkpoint(folder):
    with pytest.raises(ValueError, match="an exported model computes no hidden states.*Use the PyTorch checkpoint"):
        load_pipeline(folder)(POSTS[0], evidence=True)


def test_an_exported_pipeline_is_not_saved(folder, tmp_path):
    with pytest.raises(ValueError, match="An exported model is its folder"):
        load_pipeline(folder).save_pretrained(tmp_path / "other")
    assert not (tmp_path / "other").exists()


def _rounded(value):
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return round(value, 4) if isinstance(value, float) else value

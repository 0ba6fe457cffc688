import pytest
import torch

from tgdi_hf.inference.checkpoint_pipeline import load_checkpoint

POST = {"text": "Ann meets Bob", "head": "Ann", "tail": "Bob"}


def test_the_pipeline_of_a_folder(checkpoint, pipe):
    loaded = load_checkpoint(str(checkpoint), top_k=2)
    assert loaded.model.dtype == torch.float32
    assert loaded(POST) == pipe(POST, top_k=2)


def test_dtype_device_and_label(checkpoint):
    loaded = load_checkpoint(str(checkpoint), bf16=True, negative=None, device="cpu")
    assert (loaded.model.dtype, loaded.device.type) == (torch.bfloat16, "cpu")
    assert loaded(POST, drop_none=True)["relation"] is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "gpu"}, r"`device` is 'gpu', which cannot be used \(Expected one of cpu.*; available: the CPU"),
        ({"device": "cuda:99"}, r"`device` is 'cuda:99', which cannot be used"),
        ({"device": -7}, r"`device` is -7, which cannot be used"),
        ({"revision": "main"}, "The revision 'main' applies to the Hub, but .* is a folder"),
    ],
)
def test_what_cannot_be_loaded(checkpoint, options, message):
    with pytest.raises(ValueError, match=message):
        load_checkpoint(str(checkpoint), **options)


def test_a_name_that_is_nowhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"runs/mine: no such folder, and no model of that name could be loaded"):
        load_checkpoint("runs/mine")

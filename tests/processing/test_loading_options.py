import json

import pytest
import torch
from transformers import AutoProcessor, BitsAndBytesConfig, pipeline

from tgdi_hf import TGDIProcessor
from tgdi_hf.processing.loading_options import processor_options

TASK = "multimodal-relation-extraction"
POST = {"text": "Ann meets Bob", "head": "Ann", "tail": "Bob"}


def json_files(folder):
    return {path.name: json.loads(path.read_text()) for path in folder.glob("*.json")}


@pytest.mark.parametrize(
    ("options", "dtype"),
    [
        ({"dtype": torch.bfloat16}, torch.bfloat16),
        ({"dtype": "float16"}, torch.float16),
        ({"model_kwargs": {"dtype": torch.bfloat16}}, torch.bfloat16),
        ({"model_kwargs": {"torch_dtype": torch.float16}}, torch.float16),
        ({"dtype": torch.bfloat16, "device_map": "cpu"}, torch.bfloat16),
        ({"model_kwargs": {"device_map": {"": "cpu"}, "attn_implementation": "eager"}}, torch.float32),
        ({"model_kwargs": {"fusion_lambda": 0.25, "max_memory": {"cpu": "1GB"}}}, torch.float32),
        ({"device": "cpu", "top_k": 2, "batch_size": 3, "drop_none": True}, torch.float32),
        ({"captioner": lambda images: ["a cat"] * len(images), "grounder": lambda *_: []}, torch.float32),
    ],
    ids=lambda given: ", ".join(given) if isinstance(given, dict) else str(given),
)
def test_loading_options_are_not_saved(options, dtype, checkpoint, tmp_path):
    pipe = pipeline(TASK, model=str(checkpoint), **options)
    pipe.save_pretrained(tmp_path / "saved")
    again = pipeline(TASK, model=str(tmp_path / "saved"))
    assert again.model.dtype == pipe.model.dtype == dtype
    assert again.model.config.fusion_lambda == pipe.model.config.fusion_lambda
    # Loading options affect neither the saved processor nor another pipeline.
    saved, first = json_files(tmp_path / "saved"), json_files(checkpoint)
    assert saved.keys() == first.keys()
    for name in saved.keys() - {"config.json"}:
        assert saved[name] == first[name], name
    assert len(again(POST)["relations"]) == 1
    assert again.reader.captioner is None


@pytest.mark.parametrize("load", [TGDIProcessor.from_pretrained, AutoProcessor.from_pretrained])
def test_model_options_do_not_reach_the_processor(load, checkpoint, tmp_path):
    options = {
        "dtype": torch.bfloat16,
        "torch_dtype": "auto",
        "device_map": {"": torch.device("cpu")},
        "quantization_config": BitsAndBytesConfig(load_in_8bit=True),
        "attn_implementation": "sdpa",
        "token": "hf_secret",
    }
    processor = load(checkpoint, num_objects=2, **options)
    processor.save_pretrained(tmp_path / "saved")
    saved, first = json_files(tmp_path / "saved"), json_files(checkpoint)
    assert saved.pop("processor_config.json") == {**first["processor_config.json"], "num_objects": 2}
    for name in saved:
        assert saved[name] == first[name], name


def test_only_options_for_finding_files_are_passed_to_a_processor():
    found = processor_options({"_from_pipeline": TASK, "num_labels": 3, "cache_dir": "x", "dtype": "auto"})
    assert found == {"_from_pipeline": TASK, "cache_dir": "x"}
    assert processor_options({"num_objects": 3, "dtype": "auto", "size": 8}) == {"num_objects": 3, "size": 8}


def test_a_checkpoint_without_a_processor_is_rejected(model, tmp_path):
    model.save_pretrained(tmp_path)
    for load in (TGDIProcessor.from_pretrained, AutoProcessor.from_pretrained):
        with pytest.raises(OSError, match=r"If only a model was saved there, add its processor: `processor.save_pre"):
            load(tmp_path)
    with pytest.raises(OSError, match="If only a model was saved there"):
        pipeline(TASK, model=str(tmp_path))

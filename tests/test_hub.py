import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tgdi_hf import MultimodalRelationExtractionPipeline
from tgdi_hf.hub import push_folder, save_for_hub
from tgdi_hf.model_card import model_card

from .hub_server import Hub

ROOT = Path(__file__).parent.parent
POST = {"text": "Ann meets Bob in Rome", "entities": ["Ann", "Bob", "Rome"]}

# `HF_ENDPOINT` is read when huggingface_hub is imported, so both sides are processes of their own.
PUSH = """
import sys, torch
from tgdi_hf import TGDIForRelationExtraction, TGDIProcessor, push_to_hub
model = TGDIForRelationExtraction.from_pretrained(sys.argv[1])
done = push_to_hub("me/tiny", model, TGDIProcessor.from_pretrained(sys.argv[1]), handler=True, token="hf_test")
print(done.commit_url)
"""
LOAD = """
import json, sys
sys.modules["tgdi_hf"] = None  # a machine without the package
from transformers import AutoModel, AutoModelForSequenceClassification, AutoProcessor, pipeline
trust = {"trust_remote_code": True}
model = AutoModelForSequenceClassification.from_pretrained("me/tiny", **trust)
assert type(model).__module__.startswith("transformers_modules."), type(model)
assert type(AutoModel.from_pretrained("me/tiny", **trust)).__name__ == "TGDIModel"
processor = AutoProcessor.from_pretrained("me/tiny", **trust)
inputs = processor(text="Ann meets Bob", head=(0, 3), tail=(10, 13))
pipe = pipeline("multimodal-relation-extraction", model="me/tiny", **trust)
post = json.loads(sys.argv[1])
from transformers.dynamic_module_utils import get_class_from_dynamic_module
handler = get_class_from_dynamic_module("handler.EndpointHandler", "me/tiny")("me/tiny")
print(json.dumps({"logits": model(**inputs).logits.tolist(), "pairs": pipe(post)["pairs"],
    "served": handler({"inputs": post})["pairs"], "bad": handler({"inputs": 5})}))
"""


def run(code, *arguments, home, endpoint):
    environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0"}
    # The protocol of the Hub's chunk storage is a closed program's; git LFS is plain HTTP.
    environment |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True, cwd=home
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_and_back_over_http(checkpoint, model, processor, tmp_path):
    for name in ("there", "back"):
        (tmp_path / name).mkdir()
    with Hub() as hub:
        url = run(PUSH, str(checkpoint), home=tmp_path / "there", endpoint=hub.url)
        assert url.startswith(f"{hub.url}/me/tiny/commit/")
        assert [message for message, _ in hub.commits["me/tiny"]] == ["initial commit", "Upload TGDI"]  # one commit
        files = hub.files("me/tiny")
        loaded = json.loads(run(LOAD, json.dumps(POST), home=tmp_path / "back", endpoint=hub.url).splitlines()[-1])
    assert files["README.md"].decode().count("pipeline_tag: text-classification") == 1
    assert hub.cards == [files["README.md"].decode()]  # checked as it is
    assert {"model.safetensors", "pipeline_tgdi.py", "modeling_tgdi.py", "processing_tgdi.py", "handler.py"} <= set(
        files
    )
    assert not [path for path in files if path.endswith((".bin", ".pt", ".pkl"))]
    assert json.loads(files["config.json"])["transformers_version"]

    inputs = processor(text="Ann meets Bob", head=(0, 3), tail=(10, 13))
    assert loaded["logits"][0] == pytest.approx(model(**inputs).logits[0].tolist(), abs=1e-5)
    expected = MultimodalRelationExtractionPipeline(model=model, processor=processor)(POST)["pairs"]
    for found in (loaded["pairs"], loaded["served"]):
        assert [one["relation"] for one in found] == [one["relation"] for one in expected]
        assert [one["score"] for one in found] == pytest.approx([one["score"] for one in expected], abs=1e-5)
    assert loaded["bad"]["field"] == "inputs"


def test_a_card_that_the_hub_refuses_stops_the_upload(checkpoint, tmp_path):
    code = """
import sys
from tgdi_hf import TGDIForRelationExtraction, TGDIProcessor, push_to_hub
from tgdi_hf.model_card import model_card
model = TGDIForRelationExtraction.from_pretrained(sys.argv[1])
card = model_card(model, "me/tiny")
card.data.license = ["mit"]
try:
    push_to_hub("me/tiny", model, TGDIProcessor.from_pretrained(sys.argv[1]), card, token="hf_test")
except ValueError as error:
    print(error)
"""
    with Hub() as hub:
        assert "license must be a string" in run(code, str(checkpoint), home=tmp_path, endpoint=hub.url)
        assert len(hub.commits["me/tiny"]) == 1


def test_folders_with_something_in_them_are_refused(model, processor, tmp_path):
    (tmp_path / "secret.txt").write_text("x")
    with pytest.raises(ValueError, match="is not empty"):
        save_for_hub(tmp_path, model, processor, model_card(model, "me/tiny"))


def test_pickles_are_refused(model, processor, tmp_path):
    folder = save_for_hub(tmp_path / "new", model, processor, model_card(model, "me/tiny"))
    assert not (folder / "handler.py").exists()
    (folder / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ValueError, match=r"has pytorch_model.bin, which can run code"):
        push_folder(folder, "me/tiny")
    (folder / "pytorch_model.bin").unlink()
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="has no weights"):
        push_folder(folder, "me/tiny")

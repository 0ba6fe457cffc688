import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import EvalResultEntry, HfApi

from tgdi_hf import MultimodalRelationExtractionPipeline, TGDIConfig
from tgdi_hf.hub.model_card import model_card
from tgdi_hf.hub.upload import push_folder, push_to_hub, save_for_hub

from .hub_server import TOKEN, Hub

ROOT = Path(__file__).parents[2]
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


def run(code, *arguments, home, endpoint, **more):
    environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0", **more}
    # The protocol of the Hub's chunk storage is a closed program's; git LFS is plain HTTP.
    environment |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True, cwd=home
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.no_cover
def test_upload_and_download_over_http(checkpoint, model, processor, tmp_path):
    for name in ("there", "back"):
        (tmp_path / name).mkdir()
    with Hub() as hub:
        url = run(PUSH, str(checkpoint), home=tmp_path / "there", endpoint=hub.url)
        assert url.startswith(f"{hub.url}/me/tiny/commit/")
        assert hub.messages("me/tiny") == ["initial commit", "Upload TGDI"]  # one commit
        files = hub.files("me/tiny")
        assert f"PUT /lfs/{hashlib.sha256(files['model.safetensors']).hexdigest()}" in hub.calls
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


PUSH_MANY = """
import json, sys
from tgdi_hf import TGDIForRelationExtraction, TGDIProcessor, push_to_hub
from tgdi_hf.cli.main import app
from tgdi_hf.hub.model_card import model_card
model, processor = (kind.from_pretrained(sys.argv[1]) for kind in (TGDIForRelationExtraction, TGDIProcessor))

def push(repo, card=None, **options):
    try:
        done = push_to_hub(repo, model, processor, card, **options)
    except (ValueError, OSError) as error:
        return str(error)
    return done.pr_url or done.commit_url

card = model_card(model, "me/refused")
card.data.license = ["mit"]
print(json.dumps({
    "stranger": push("me/strange", token="hf_another"),
    "refused card": push("me/refused", card),
    "branch": push("me/tiny", revision="v1", commit_message="One"),
    "branch again": push("me/tiny", revision="v1", commit_message="Two"),
    "request": push("me/tiny", create_pr=True, commit_message="Please"),
    "request again": push("me/tiny", revision="refs/pr/1", commit_message="Please, then"),
    "private": push("me/hidden", private=True),
    "private again": push("me/hidden", private=True),
    "private too late": push("me/tiny", private=True),
}))
app(["push", sys.argv[1], "me/typed", "--private", "--handler", "--base-model", "bert-base-uncased"])
"""


@pytest.mark.slow  # starts processes
def test_branches_pull_requests_and_refused_uploads(checkpoint, tmp_path):
    with Hub() as hub:
        printed = run(PUSH_MANY, str(checkpoint), home=tmp_path, endpoint=hub.url, HF_TOKEN=TOKEN).splitlines()
    done = json.loads(printed[0])
    assert "Invalid username or password" in done["stranger"] and "me/strange" not in hub.repositories
    assert "license must be a string" in done["refused card"] and hub.messages("me/refused") == ["initial commit"]
    # The branches have it, and main has none of it.
    assert hub.messages("me/tiny") == ["initial commit"]
    assert hub.messages("me/tiny", "v1") == ["initial commit", "One", "Two"]
    assert done["request"] == f"{hub.url}/me/tiny/discussions/1"
    assert hub.messages("me/tiny", "refs/pr/1") == ["Please", "Please, then"]
    assert all("model.safetensors" in hub.files("me/tiny", name) for name in ("v1", "refs/pr/1"))
    # What is meant to be private does not go where everybody reads.
    assert hub.messages("me/hidden") == ["initial commit", "Upload TGDI", "Upload TGDI"]
    assert "me/tiny already exists and is public" in done["private too late"]
    assert hub.private == {"me/hidden", "me/typed"}
    assert printed[1].startswith(f"{hub.url}/me/typed/commit/") and "handler.py" in hub.files("me/typed")
    assert "base_model:\n- bert-base-uncased\n" in hub.files("me/typed")["README.md"].decode()


def test_a_pull_request_is_against_main(model, processor):
    with pytest.raises(ValueError, match="a new pull request is always against main"):
        push_to_hub("me/tiny", model, processor, revision="v1", create_pr=True)


def test_training_modes_are_preserved(model, processor, tmp_path):
    model.train()
    model.tgdi.vision_tower.eval()
    before = [module.training for module in model.modules()]
    save_for_hub(tmp_path / "new", model, processor, model_card(model, "me/tiny"))
    assert [module.training for module in model.modules()] == before and len(set(before)) == 2


@pytest.mark.parametrize(
    "save",
    [
        lambda folder, model, processor: save_for_hub(folder, model, processor, model_card(model, "me/tiny")),
        lambda folder, model, processor: model.save_pretrained(folder),
        lambda folder, model, processor: model.config.save_pretrained(folder),
        lambda folder, model, processor: MultimodalRelationExtractionPipeline(model, processor).save_pretrained(folder),
    ],
    ids=["for the Hub", "model", "configuration", "pipeline"],
)
@pytest.mark.parametrize("name", ["gone/bert", "gone", "."])
def test_local_paths_are_not_saved(save, name, model, processor, tmp_path):
    model.config.text_config._name_or_path = str(tmp_path / name)
    model.config.vision_config._name_or_path = "google/vit-base-patch16-224"
    assert model_card(model, "me/tiny").data.base_model == ["google/vit-base-patch16-224"]
    folder = tmp_path / "new"
    save(folder, model, processor)
    assert not [path for path in folder.iterdir() if str(tmp_path).encode() in path.read_bytes()]
    config = TGDIConfig.from_pretrained(folder)
    assert config.vision_config._name_or_path == "google/vit-base-patch16-224"
    assert config.text_config.to_diff_dict() == {
        key: value for key, value in model.config.text_config.to_diff_dict().items() if key != "_name_or_path"
    }


def test_of_hidden_files_only_results_are_uploaded(model, processor, tmp_path, monkeypatch):
    entry = EvalResultEntry("user/mnre", "default", 0.5)
    folder = save_for_hub(tmp_path / "new", model, processor, model_card(model, "me/tiny"), eval_result=entry)
    (folder / ".git" / ".eval_results").mkdir(parents=True)
    for name in (".env", ".git/config", ".git/objects.bin", ".git/.eval_results/x.yaml", ".eval_results/notes.txt"):
        (folder / name).write_text("secret")
    sent = []
    monkeypatch.setattr(HfApi, "create_repo", lambda *args, **options: None)
    monkeypatch.setattr(HfApi, "create_commit", lambda self, repo, operations, **options: sent.extend(operations))
    push_folder(folder, "me/tiny")
    visible = {path.name for path in folder.iterdir() if path.name[0] != "."}
    assert {one.path_in_repo for one in sent} == {*visible, ".eval_results/user--mnre.yaml"}


def test_a_folder_that_is_not_empty_is_refused(model, processor, tmp_path):
    (tmp_path / "secret.txt").write_text("x")
    with pytest.raises(ValueError, match="is not empty"):
        save_for_hub(tmp_path, model, processor, model_card(model, "me/tiny"))


def test_pickles_are_refused(model, processor, tmp_path):
    folder = save_for_hub(tmp_path / "new", model, processor, model_card(model, "me/tiny"))
    assert not (folder / "handler.py").exists()
    (folder / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ValueError, match=r"has pytorch_model.bin, which can execute code"):
        push_folder(folder, "me/tiny")
    (folder / "pytorch_model.bin").unlink()
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="has no weights"):
        push_folder(folder, "me/tiny")


def test_the_handler_comes_with_its_requirements(model, processor, tmp_path, monkeypatch):
    card = model_card(model, "me/tiny")
    folder = save_for_hub(tmp_path / "with", model, processor, card, handler=True)
    assert (folder / "requirements.txt").read_text().startswith("transformers>=")
    monkeypatch.setattr("tgdi_hf.hub.upload.handler_requirements", lambda: None)
    folder = save_for_hub(tmp_path / "without", model, processor, card, handler=True)
    assert (folder / "handler.py").exists() and not (folder / "requirements.txt").exists()
    assert not (folder / ".eval_results").exists()

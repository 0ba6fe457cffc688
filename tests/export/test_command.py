"""`tgdi export`, and what takes its folder in place of a checkpoint."""

import base64
import io
import json
import shutil

import pytest
from PIL import Image
from typer.testing import CliRunner

from tgdi_hf.cli.main import app
from tgdi_hf.export import exporting
from tgdi_hf.export.exporting import check_export_options
from tgdi_hf.export.pipeline_loading import load_pipeline
from tgdi_hf.hub.handler import EndpointHandler

from ..serving.conftest import ask

POST = {"text": "Ann meets Bob in Rome", "head": "Ann", "tail": "Bob"}


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def checkpoint(source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    for part in source:
        part.save_pretrained(folder)
    return folder


def test_the_command_exports_and_compares(checkpoint, corpus, onnx_folder, tmp_path, monkeypatch):
    """With graphs that were made before."""
    made = []

    def copy(graph, folder, *options):
        made.append((graph.name, *options))
        for file in onnx_folder.glob(f"{graph.name}.*"):
            shutil.copy(file, folder)

    monkeypatch.setattr(exporting, "_write_graph", copy)
    corpus.save_to_disk(tmp_path / "data")
    arguments = [checkpoint, tmp_path / "exported", "--opset", 20, "--check", tmp_path / "data", "--split", "test"]
    done = invoke("export", *arguments)
    assert done.exit_code == 0, done.output + str(done.exception)
    assert made == [("vision", "onnx", False, 20), ("fusion", "onnx", False, 20)]
    assert "test, 32 rows: largest difference of logits " in done.output and ", 0 answers changed" in done.output
    assert json.loads((tmp_path / "exported/tgdi_export.json").read_text())["check"]["rows"] == 32
    again = invoke("export", *arguments)
    assert isinstance(again.exception, FileExistsError) and "expected the name of a new folder" in str(again.exception)


def test_what_is_no_checkpoint_is_refused(onnx_folder, tmp_path):
    check_export_options(tmp_path / "new")
    failed = invoke("export", onnx_folder, tmp_path / "new")
    assert "is an export, without weights for PyTorch" in str(failed.exception)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    failed = invoke("export", tmp_path, tmp_path / "new")
    assert "is a model of type 'bert'; expected 'tgdi'" in str(failed.exception)


def test_a_file_of_posts_is_predicted(onnx_folder, checkpoint, tmp_path):
    posts = tmp_path / "posts.jsonl"
    posts.write_text("".join(json.dumps({**POST, "tail": tail}) + "\n" for tail in ("Bob", "Rome", "Lisa")))
    found = {}
    for name, model in (("graph", onnx_folder), ("model", checkpoint)):
        output = tmp_path / f"{name}.jsonl"
        done = invoke("predict", model, posts, output)
        assert done.exit_code == 0, done.output + str(done.exception)
        found[name] = [json.loads(line) for line in output.read_text().splitlines()]
    assert [one["relation"] for one in found["graph"]] == [one["relation"] for one in found["model"]]
    assert [one["score"] for one in found["graph"]] == pytest.approx([one["score"] for one in found["model"]], abs=1e-4)
    for option in ("--bf16", "--compile"):
        failed = invoke("predict", onnx_folder, posts, tmp_path / "other.jsonl", option)
        assert f"{option} does not apply to" in str(failed.exception)


def test_a_server_answers_from_graphs_on_the_cpu(onnx_folder, monkeypatch):
    served = []
    monkeypatch.setattr("tgdi_hf.serving.server.run_app", lambda app, *arguments: served.append(app))
    done = invoke("serve", onnx_folder, "--port", 0)
    assert done.exit_code == 0, done.output + str(done.exception)
    answer, refused = ask(served[0], {"inputs": POST}, {"inputs": POST, "parameters": {"evidence": True}})
    expected = load_pipeline(onnx_folder)(POST)
    assert answer.status_code == 200 and answer.json()["relation"] == expected["relation"]
    assert answer.json()["score"] == pytest.approx(expected["score"], abs=1e-5)
    assert refused.status_code == 422 and "an exported model computes no hidden states" in refused.json()["error"]
    failed = invoke("serve", onnx_folder, "--port", 0, "--device", "cuda")
    assert "--device cuda does not apply to" in str(failed.exception)


@pytest.mark.parametrize("command", ["evaluate", "push"])
def test_other_commands_require_the_checkpoint(command, onnx_folder, tmp_path):
    failed = invoke(command, onnx_folder, tmp_path)
    assert "is an export, without weights for PyTorch; expected the checkpoint" in str(failed.exception)


def test_the_endpoint_handler_answers_from_graphs(onnx_folder, checkpoint):
    content = io.BytesIO()
    Image.new("RGB", (60, 40), "teal").save(content, "PNG")
    post = {**POST, "image": base64.b64encode(content.getvalue()).decode()}
    found, expected = (EndpointHandler(str(folder))({"inputs": [post]})[0] for folder in (onnx_folder, checkpoint))
    assert found["relation"] == expected["relation"]
    assert found["gate"] == pytest.approx(expected["gate"], abs=1e-4)
    refused = EndpointHandler(str(onnx_folder))({"inputs": post, "parameters": {"evidence": True}})
    assert refused["field"] == "parameters" and "Use the PyTorch checkpoint" in refused["error"]

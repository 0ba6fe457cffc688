"""The examples in the help of every command, run as they are printed, beside small stand-ins for what they name."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import typer
from transformers import BertModel, ViTModel

from tgdi_hf import TGDIForRelationExtraction
from tgdi_hf.cli.main import app
from tgdi_hf.demo.tiny import tiny_image_processor, tiny_text_config, tiny_tokenizer, tiny_vision_config

from ..annotations.label_studio_tasks import exported
from ..preparation.tiny_checkpoints import blip, grounding_dino

COMMANDS = typer.main.get_command(app).commands


@pytest.fixture
def folder(corpus, checkpoint, tmp_path, monkeypatch):
    """Where the examples find what they name: data, a trained model, and models of the Hub as folders of that name."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    for name in ("runs/demo", "runs/mnre"):
        (work / name).parent.mkdir(exist_ok=True)
        (work / name).symlink_to(checkpoint)
    corpus.save_to_disk(work / "path" / "to" / "mnre")
    tokenizer = tiny_tokenizer(corpus["train"]["text"])
    tokenizer.save_pretrained("bert-base-uncased")
    BertModel(tiny_text_config(tokenizer)).save_pretrained("bert-base-uncased")
    tiny_image_processor().save_pretrained("openai/clip-vit-base-patch32")
    ViTModel(tiny_vision_config()).save_pretrained("openai/clip-vit-base-patch32")
    (work / "Salesforce").mkdir()
    blip(work / "Salesforce" / "blip-image-captioning-base")
    (work / "IDEA-Research").mkdir()
    grounding_dino(work / "IDEA-Research" / "grounding-dino-tiny")
    posts = [corpus["test"][i] for i in range(4)]
    for post in posts:
        if post["image"] is not None:
            post["image"].save(work / f"{post['id']}.png")
            post["image"] = f"{post['id']}.png"
    keys = ("id", "text", "head", "tail", "image")
    (work / "posts.jsonl").write_text("".join(json.dumps({key: post[key] for key in keys}) + "\n" for post in posts))
    return work


def example_of(command):
    """What is printed after "Example:", as one line."""
    text = " ".join(COMMANDS[command].help.split())
    match = re.search(r"Example: (tgdi .*?)(?= On several GPUs:|$)", text)
    assert match, f"the help of `tgdi {command}` has no example"
    return match[1]


def arguments_of(command):
    words = shlex.split(example_of(command))
    assert words[:2] == ["tgdi", command]
    return [sys.executable, "-m", "tgdi_hf.cli.main", *words[1:]]


def environment(folder):
    return {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "GRADIO_TEMP_DIR": str(folder / "gradio")}


MADE = {
    "audit": None,
    "train": "runs/mnre/model.safetensors",
    "tune": "runs/search/best.json",
    "evaluate": "report/errors.html",
    "predict": "relations.jsonl",
    "triples": "triples.csv",
    "prepare": "prepared/prepared.json",
    "explain": "why.png",
    "push": "upload/README.md",
    "import": "tweets/train.jsonl",
    "label": "tasks.json",
    "export": "exported/tgdi_export.json",
}
# Covered by faster tests of the same room.
SLOW = ("audit", "evaluate", "explain", "export", "import", "label", "prepare", "push", "train", "triples", "tune")


def test_every_command_is_run_here():
    assert {*MADE, "app", "demo", "help", "serve"} == set(COMMANDS)


@pytest.mark.parametrize(
    "command", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in MADE]
)
def test_the_example_runs_as_printed(command, folder):
    if command == "train":
        (folder / "runs" / "mnre").unlink()
    if command == "audit":
        pytest.importorskip("sklearn")
    if command == "explain":
        pytest.importorskip("matplotlib")
    if command == "export":
        pytest.importorskip("onnxruntime")
        # An untrained model is nearly undecided between relations, so that 8-bit weights may change an answer.
        model = TGDIForRelationExtraction.from_pretrained(folder / "runs" / "demo")
        torch.nn.init.constant_(model.classifier.bias[:1], 1.0)
        model.save_pretrained(folder / "runs" / "demo")
    if command == "tune":
        pytest.importorskip("optuna")
    if command == "import":
        (folder / "photos").mkdir()
        (folder / "export.json").write_text(json.dumps(exported()))
    done = subprocess.run(arguments_of(command), capture_output=True, text=True, env=environment(folder))
    assert done.returncode == 0, done.stderr
    if MADE[command]:
        assert (folder / MADE[command]).stat().st_size > 0
    else:
        assert "guessed without a word" in done.stdout


@pytest.mark.slow  # starts processes
def test_the_page_of_the_example_is_served(folder):
    pytest.importorskip("gradio", reason="needs the extra `demo`")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([*arguments_of("app"), "--port", str(port)], env=environment(folder))
    try:
        for _ in range(120):
            try:
                page = urllib.request.urlopen(f"http://127.0.0.1:{port}").read().decode()
                break
            except OSError:
                assert server.poll() is None, "the server ended"
                time.sleep(0.5)
        assert "TGDI · runs/demo" in page
    finally:
        server.terminate()
        server.wait()


@pytest.mark.slow
def test_the_server_of_the_example_answers_stops_and_starts_again(folder):
    """Stopped by SIGTERM with a request under way, and killed; after each, it starts again on the same port."""
    pytest.importorskip("fastapi", reason="needs the extra `serve`")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    body = json.dumps({"inputs": [{"text": "Ann meets Bob", "head": "Ann", "tail": "Bob", "id": i} for i in range(64)]})
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/predict", body.encode(), headers={"Content-Type": "application/json"}
    )
    # A long wait for others, which the stop cuts short.
    command = [*arguments_of("serve"), "--port", str(port), "--max-batch", "128", "--max-wait-ms", "20000"]
    for number, status in ((signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 0)):
        server = subprocess.Popen(command, env=environment(folder), stderr=subprocess.PIPE, text=True)
        try:
            for line in server.stderr:
                if "Serving runs/demo at" in line:
                    break
            with ThreadPoolExecutor(1) as clients:
                answer = clients.submit(lambda: json.loads(urllib.request.urlopen(request).read()))
                while b"tgdi_queue_posts 64.0" not in urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read():
                    time.sleep(0.05)
                server.send_signal(number)
                if status == 0:
                    assert [one["id"] for one in answer.result(60)] == [*range(64)]
                else:
                    with pytest.raises(OSError):
                        answer.result(60)
            assert server.wait(60) == status
        finally:
            server.kill()
            server.wait()
            server.stderr.close()


@pytest.mark.slow
def test_the_demo_of_the_example_runs(folder):
    done = subprocess.run(arguments_of("demo"), capture_output=True, text=True, env=environment(folder))
    assert done.returncode == 0 and "matching gate" in done.stdout, done.stderr

"""The examples that no other test runs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as parquet
import pytest
import torch
from datasets import Dataset, load_dataset
from PIL import Image

from tgdi_hf import ImageCaptioner, ObjectGrounder, prepare
from tgdi_hf.data.loading import read_table
from tgdi_hf.export.exporting import export_model
from tgdi_hf.export.pipeline_loading import load_pipeline
from tgdi_hf.inference.bulk_prediction import predict_file

from ..data.mnre_folder import write_split
from ..preparation.tiny_checkpoints import blip2, owlv2

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.slow
def test_ray_pipeline_agrees_with_prepare(tmp_path):
    pytest.importorskip("ray", reason="needs the extra `ray`")
    checkpoints = blip2(tmp_path / "blip2"), owlv2(tmp_path / "owlv2")
    rows = []
    for i in range(12):
        Image.new("RGB", (30 + i % 3, 20), (80 * (i % 3), 40, 90)).save(tmp_path / f"{i % 3}.png")
        rows.append(
            {"id": str(i), "text": f"Ann meets Bob{i % 2}", "head": [0, 3], "tail": [10, 14], "image": f"{i % 3}.png"}
        )
    rows[5]["image"] = "missing.png"
    rows[6]["image"] = None
    rows[7]["head"] = [0, 99]
    (tmp_path / "posts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = [sys.executable, EXAMPLES / "prepare_with_ray.py", tmp_path / "posts.jsonl", tmp_path / "ray"]
    options = ["--captioner", checkpoints[0], "--grounder", checkpoints[1]]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0"}
    subprocess.run([*command, *options], check=True, env=environment, timeout=600)
    done = prepare(
        read_table(tmp_path / "posts.jsonl", cache_dir=tmp_path / "hf"),
        tmp_path / "local",
        ImageCaptioner.from_pretrained(checkpoints[0]),
        ObjectGrounder.from_pretrained(checkpoints[1]),
        cache=tmp_path / "cache",
        image_folder=tmp_path,
        progress=False,
    )
    ours = {row["id"]: row for row in done.dataset["train"]}
    parquet = load_dataset("parquet", data_files=str(tmp_path / "ray/parquet/*.parquet"), cache_dir=tmp_path / "hf")
    theirs = {row["id"]: row for row in parquet["train"]}
    assert theirs.keys() == ours.keys()
    for identity, row in theirs.items():
        assert (row["caption"] or None) == ours[identity]["caption"]
        assert row["object_phrases"] == ours[identity]["object_phrases"]
        for one, two in zip(row["objects"], ours[identity]["objects"], strict=True):
            assert one == pytest.approx(two, abs=0.2)
    faults = [json.loads(line) for line in (tmp_path / "ray" / "report.jsonl").read_text().splitlines()]
    assert [fault["id"] for fault in faults] == [fault.id for fault in done.faults] == ["5", "7"]


@pytest.fixture
def posts(corpus, tmp_path):
    """Posts of all kinds in a Parquet file: images as bytes, as paths, or none; several entities; broken."""
    rows = []
    for i, row in enumerate(corpus["test"]):
        image = tmp_path / f"{i}.png"
        if row["image"] is not None:
            row["image"].save(image)
        inside = image.read_bytes() if row["image"] is not None and i % 2 else None
        content = {"bytes": inside, "path": str(image)}
        post = {name: row[name] for name in ("id", "text", "head", "tail", "objects", "caption")}
        rows.append({**post, "image": content if row["image"] is not None else None, "entities": None})
    rows[3] |= {"head": [0, 999]}
    rows[5] |= {"head": None, "tail": None, "entities": [rows[5]["head"], rows[5]["tail"], [0, 1]]}
    Dataset.from_list(rows * 3).to_parquet(tmp_path / "posts.parquet")
    return tmp_path / "posts.parquet"


def check_against_one_process(found, pipe, posts, tmp_path):
    """The rows of the single process."""
    predict_file(pipe, posts, tmp_path / "one.jsonl", batch_size=16)
    expected = [json.loads(line) for line in (tmp_path / "one.jsonl").read_text().splitlines()]
    bad = [json.loads(line) for line in (tmp_path / "one.jsonl.errors.jsonl").read_text().splitlines()]
    expected = sorted(expected + bad, key=lambda row: row["row"])
    assert len(found) == len(expected) == 96
    for one, two in zip(found, expected, strict=True):
        assert one["id"] == two["id"]
        assert (one["error"] is None) == ("error" not in two)
        assert one["relation"] == two.get("relation")
        # Batches of another size are rounded differently on some CPUs.
        for name in ("gate", "score"):
            assert one[name] == pytest.approx(two.get(name), abs=1e-6)
        assert_alike(json.loads(one["pairs"]) if one["pairs"] else None, two.get("pairs"))


def assert_alike(found, expected):
    """Equal structures, whose numbers differ by rounding at most."""
    assert type(found) is type(expected)
    if isinstance(found, dict):
        assert [*found] == [*expected]
        found, expected = [*found.values()], [*expected.values()]
    if isinstance(found, list):
        for one, two in zip(found, expected, strict=True):
            assert_alike(one, two)
    else:
        assert found == (pytest.approx(expected, abs=1e-6) if isinstance(expected, float) else expected)


@pytest.mark.slow  # starts processes
def test_two_processes_agree_with_one(checkpoint, pipe, posts, tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    arguments = [checkpoint, posts, tmp_path / "two.parquet", "--cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    example = EXAMPLES / "predict_with_accelerate.py"
    done = subprocess.run([*command, example, *arguments], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "by 2 processes" in done.stdout
    check_against_one_process(parquet.read_table(tmp_path / "two.parquet").to_pylist(), pipe, posts, tmp_path)
    assert not [*tmp_path.glob("two.parquet.*")]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pipe", "pipe_with_regions", "exported"])
def test_ray_agrees_with_one_process(kind, posts, tmp_path, request):
    pytest.importorskip("ray", reason="needs the extra `ray`")
    pipe, checkpoint = request.getfixturevalue("pipe_with_regions" if kind == "exported" else kind), tmp_path / kind
    torch.manual_seed(0)
    torch.nn.init.normal_(pipe.model.classifier.weight)  # so that scores depend on the objects
    if kind == "exported":
        export_model(pipe.model, pipe.processor, checkpoint)
        pipe = load_pipeline(checkpoint)
    else:
        pipe.save_pretrained(checkpoint)
    command = [sys.executable, EXAMPLES / "predict_with_ray.py", checkpoint, posts, tmp_path / "ray", "--batches", "1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0"}
    subprocess.run(command, check=True, env=environment, timeout=600)
    files = sorted((tmp_path / "ray").glob("*.parquet"))
    found = [row for file in files for row in parquet.read_table(file).to_pylist()]
    check_against_one_process(found, pipe, posts, tmp_path)


@pytest.mark.slow  # starts processes
@pytest.mark.parametrize(("config", "inverse_labels"), [("{}", 15), ('{"inverse_labels": 0}', 0)])
def test_training_script_uses_both_orders(config, inverse_labels, encoders, tmp_path):
    for split in ("train", "validation"):
        write_split(tmp_path / "mnre", split)
    text, vision = map(str, encoders)
    command = [sys.executable, "examples/train_mnre.py", str(tmp_path / "mnre"), str(tmp_path / "run"), "--epochs", "1"]
    command += ["--text-model", text, "--vision-model", vision, "--both-orders", "--config", config]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[2], env={**os.environ, "OMP_NUM_THREADS": "1"})
    found = json.loads((tmp_path / "run" / "config.json").read_text())
    assert found["direction_balanced"] and found["inverse_labels"] == inverse_labels

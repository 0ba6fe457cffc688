"""The examples that no other test runs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from datasets import load_dataset
from PIL import Image

from tgdi_hf import ImageCaptioner, ObjectGrounder, prepare
from tgdi_hf.posts import read_table

from .processing.tiny_checkpoints import blip2, owlv2

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.slow
def test_the_ray_pipeline_says_what_prepare_says(tmp_path):
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

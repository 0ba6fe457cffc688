"""Killed runs, and processes that share the work."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from PIL import Image

from tgdi_hf.preparation.processes import is_own_share

from .preparation_stubs import files

# Prepares posts with a slow captioner that logs the images it gets.
SCRIPT = """
import hashlib, sys, time
from pathlib import Path
import datasets
from tgdi_hf import prepare
from tgdi_hf.data.loading import read_table
folder, output, cache, log = map(Path, sys.argv[1:5])
datasets.disable_progress_bars()

class Captioner:
    settings = {"model": "slow"}
    def __call__(self, images):
        digests = [hashlib.sha256(image.tobytes()).hexdigest()[:16] for image in images]
        with log.open("a") as file:
            file.write("".join(f"{digest}\\n" for digest in digests))
        time.sleep(float(sys.argv[5]))
        return [f"image {digest}" for digest in digests]

class Grounder:
    settings = {"model": "slow"}
    def __call__(self, images, phrases):
        return [[{"box": [0, 0, 1, 1], "score": 0.5, "phrase": row[0]}] for row in phrases]

table = read_table(folder / "posts.jsonl", cache_dir=folder / "tables")
done = prepare(table, output, Captioner(), Grounder(), cache=cache, image_folder=folder, batch_size=8, progress=False)
print(done.summary())
"""


@pytest.fixture
def many(tmp_path):
    """A function that creates a folder with so many posts, each with its own image, and returns the folder."""

    def make(count):
        folder = tmp_path / "many"
        folder.mkdir()
        (folder / "script.py").write_text(SCRIPT)
        with (folder / "posts.jsonl").open("w") as file:
            for i in range(count):
                Image.new("RGB", (8, 8), (i % 256, i // 256, 7)).save(folder / f"{i}.png")
                text = f"Ann{i} meets Bob at Harvard"
                post = {"id": i, "text": text, "head": f"Ann{i}", "tail": "Bob", "image": f"{i}.png"}
                file.write(json.dumps(post) + "\n")
        return folder

    return make


def command(folder, output, cache, log, seconds=0.0):
    """The command that prepares the posts of `many`, at so many seconds per batch."""
    return [sys.executable, str(folder / "script.py"), *map(str, (folder, output, cache, log, seconds))]


def check_after_kills(folder, tmp_path, kills, seconds, seed=0):
    """Kills a run at random moments, compares the output with an undisturbed run, and counts repeated images."""
    subprocess.run(
        command(folder, tmp_path / "undisturbed", tmp_path / "cache-undisturbed", tmp_path / "log-undisturbed"),
        check=True,
    )
    killed, log, rng = 0, tmp_path / "log", random.Random(seed)
    while not (tmp_path / "killed").exists():
        process = subprocess.Popen(command(folder, tmp_path / "killed", tmp_path / "cache", log, seconds))
        if killed < kills:
            before = log.stat().st_size if log.exists() else 0
            deadline = time.monotonic() + 120
            while (log.stat().st_size if log.exists() else 0) == before and time.monotonic() < deadline:
                time.sleep(0.01)  # wait for the first batch
            time.sleep(rng.random() * 8 * seconds)
            killed += 1
            process.send_signal(signal.SIGKILL)
        process.wait()
    assert killed == kills
    assert files(tmp_path / "killed") == files(tmp_path / "undisturbed")
    captioned = log.read_text().split()
    assert set(captioned) == set((tmp_path / "log-undisturbed").read_text().split())
    # Each kill may lose the batch in progress, which is captioned again.
    return len(captioned) - len(set(captioned))


@pytest.mark.slow  # starts processes
def test_a_killed_run_continues_from_the_cache(many, tmp_path):
    assert check_after_kills(many(120), tmp_path, kills=1, seconds=0.1) <= 8


@pytest.mark.slow
def test_twenty_kills_neither_lose_nor_repeat_a_result(many, tmp_path):
    assert check_after_kills(many(2000), tmp_path, kills=20, seconds=0.05) <= 20 * 8


@pytest.mark.slow  # starts processes
def test_parallel_commands_share_a_cache_and_the_work(many, tmp_path):
    folder, log = many(60), tmp_path / "log"
    runs = [
        subprocess.Popen(command(folder, tmp_path / name, tmp_path / "cache", log, 0.1), stdout=subprocess.PIPE)
        for name in ("one", "two")
    ]
    assert [run.wait() for run in runs] == [0, 0]
    assert files(tmp_path / "one") == files(tmp_path / "two")
    captioned = log.read_text().split()
    assert len(captioned) == len(set(captioned)) == 60


@pytest.mark.slow
def test_processes_of_accelerate_share_the_work(many, tmp_path):
    folder, log = many(60), tmp_path / "log"
    launch = "accelerate.commands.launch --multi_gpu --num_processes 2 --num_machines 1"
    launch += " --mixed_precision no --dynamo_backend no"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    script = command(folder, tmp_path / "two", tmp_path / "cache", log, 0.05)[1:]
    subprocess.run([sys.executable, "-m", *launch.split(), *script], check=True, env=environment)
    captioned = log.read_text().split()
    assert len(captioned) == len(set(captioned)) == 60
    subprocess.run(command(folder, tmp_path / "one", tmp_path / "cache-1", tmp_path / "log-1"), check=True)
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_every_image_belongs_to_one_process():
    digests = [hashlib.sha256(bytes([i])).hexdigest() for i in range(100)]
    processes = [SimpleNamespace(num_processes=3, process_index=i) for i in range(3)]
    shares = [[digest for digest in digests if is_own_share(state, digest)] for state in processes]
    assert sorted(digest for share in shares for digest in share) == sorted(digests)
    assert all(20 < len(share) < 50 for share in shares)

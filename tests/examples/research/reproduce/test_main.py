import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from examples.research.reproduce.__main__ import RESULTS, main


def test_runs_execute_once_and_are_collected(mnre_folder, encoders, tmp_path, monkeypatch, capsys):
    def reproduce(*arguments):
        monkeypatch.setattr(sys, "argv", ["reproduce", "--results", str(tmp_path / "results"), *map(str, arguments)])
        main()

    text, vision = encoders
    runs, done = tmp_path / "runs" / "low_resource", tmp_path / "results" / "low_resource"
    command = ["run", "low_resource", mnre_folder, runs.parent, "--seeds", 0, "--steps", 2, "--only", "50-mtb"]
    command += ["50-tgdi", "--text-model", text, "--vision-model", vision]
    runs.mkdir(parents=True)
    with FileLock(runs / "50-tgdi-0.lock"):  # another process is at it
        reproduce(*command)
    assert [file.name for file in done.iterdir()] == ["50-mtb-0.json"]
    written = (done / "50-mtb-0.json").stat().st_mtime_ns
    reproduce(*command)
    assert (done / "50-mtb-0.json").stat().st_mtime_ns == written
    found = json.loads((done / "50-tgdi-0.json").read_text())
    assert (found["seed"], found["recipe"]["max_steps"]) == (0, 2)
    assert len(found["answers"]) == len(found["labels"]) == 4
    assert found["train_rows"] == len(found["row_ids"]) == 2
    assert not any(path.is_dir() for path in runs.iterdir())  # no checkpoint is left
    (runs / "50-mtb-0" / "checkpoint-2").mkdir(parents=True)  # stopped between result and clean-up
    reproduce(*command)
    assert not any(path.is_dir() for path in runs.iterdir())
    capsys.readouterr()
    with pytest.raises(
        SystemExit, match=r"50-mtb-0.json is a run with other recipe: .*not .*1e-05.*another folder for --results"
    ):
        reproduce(*command, "--learning-rate", 1e-5)
    file = done / "50-mtb-0.json"
    there = json.loads(file.read_text())
    for what, value in (("experiment", {**there["experiment"], "share": 0.4}), ("data", {"train": "0"})):
        file.write_text(json.dumps({**there, what: value}))
        with pytest.raises(SystemExit, match=f"50-mtb-0.json is a run with other {what}"):
            reproduce(*command)
    file.write_text(json.dumps(there))
    with pytest.raises(SystemExit, match="has no split 'test', only train, validation"):
        reproduce(*command, "--split", "test")
    reproduce("compare", mnre_folder, "low_resource/50-mtb-0", "low_resource/50-tgdi-0")
    assert "50-tgdi-0: F1 minus that of 50-mtb-0: " in capsys.readouterr().out
    reproduce("collect", "low_resource")
    assert "| 1 |" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="low_resource has no 50-bert; it has 05-hvpnet"):
        reproduce("run", "low_resource", mnre_folder, runs.parent, "--only", "50-bert")


# Replaces training by a wait for the other process, so that both take part.
WORKER = """
import os, sys, time
from pathlib import Path
import examples.research.reproduce.__main__ as reproduce
started = Path(sys.argv.pop(1))

def run(experiment, seed, dataset, data, folder, **how):
    folder.mkdir(parents=True)
    with started.open("a") as log:
        log.write(f"{os.getpid()} {experiment.run}-{seed}\\n")
    for _ in range(1200):
        if len({line.split()[0] for line in started.read_text().splitlines()}) == 2:
            break
        time.sleep(0.1)
    return {"scores": {"f1": 0.5}}

reproduce.run = run
reproduce.refuse_another = lambda *of: None  # the results above have no settings
reproduce.main()
"""


@pytest.mark.slow  # starts processes
def test_processes_share_the_queue(mnre_folder, tmp_path):
    arguments = ["--results", tmp_path / "results", "run", "main", mnre_folder, tmp_path / "runs", "--seeds", 0, 1]
    command = [sys.executable, "-c", WORKER, tmp_path / "started", *arguments]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    root = Path(__file__).parents[4]
    workers = [subprocess.Popen([*map(str, command)], cwd=root, env=environment) for _ in range(2)]
    assert [worker.wait(timeout=600) for worker in workers] == [0, 0]
    process_ids, started = zip(*(line.split() for line in (tmp_path / "started").read_text().splitlines()))
    assert len(set(process_ids)) == 2
    assert sorted(started) == [f"main/{name}-{seed}" for name in ("mtb", "mtb-caption", "tgdi") for seed in (0, 1)]
    assert {f"main/{file.stem}" for file in (tmp_path / "results/main").iterdir()} == {*started}


def test_all_experiments_of_a_seed_run_before_the_next(mnre_folder, tmp_path, monkeypatch):
    queue = []

    def run(experiment, seed, dataset, data, folder, **how):
        folder.mkdir(parents=True)
        queue.append((seed, experiment.name))
        return {"scores": {"f1": 0.5}}

    monkeypatch.setattr("examples.research.reproduce.__main__.run", run)
    arguments = ["--results", tmp_path / "results", "run", "main", mnre_folder, tmp_path / "runs", "--seeds", 0, 1]
    monkeypatch.setattr(sys, "argv", ["reproduce", *map(str, arguments)])
    main()
    assert queue == [(seed, name) for seed in (0, 1) for name in ("mtb", "tgdi", "mtb-caption")]


def test_embedded_corpus_runs_as_mnre_does(tmp_path, monkeypatch, capsys):
    def reproduce(*arguments):
        monkeypatch.setattr(sys, "argv", ["reproduce", *map(str, arguments)])
        main()

    posts, results = tmp_path / "posts", tmp_path / "results"
    reproduce("corpus", posts, "--rows", 32, 16, 16)
    assert "32 train, 16 validation, 16 test posts" in capsys.readouterr().out
    encoders = ["--text-model", posts / "encoders/text", "--vision-model", posts / "encoders/vision"]
    run = ["--results", results, "run", "table2", posts, tmp_path / "runs", *encoders]
    run += ["--seeds", 0, "--steps", 2, "--split", "test"]
    reproduce(*run, "--train-vision", "--only", "cnn", "hvpnet", "tgdi-paper", "tgdi")
    found = json.loads((results / "main/tgdi-0.json").read_text())
    assert (found["corpus"], found["train_vision"], len(found["answers"])) == ("embedded corpus", True, 16)
    reproduce("--results", results, "collect", "table2")
    assert "| embedded corpus, test | seeds |" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="tgdi-0.json is a run with other train_vision: True, not False"):
        reproduce(*run, "--only", "tgdi")
    with pytest.raises(SystemExit):
        reproduce("collect", "table2")
    assert "collect needs a folder for its results: pass --results before it" in capsys.readouterr().err


def test_data_without_objects_are_refused_before_the_first_run(mnre_folder, tmp_path, monkeypatch):
    arguments = ["--results", tmp_path / "results", "run", "table2", mnre_folder, tmp_path / "runs"]
    monkeypatch.setattr(sys, "argv", ["reproduce", *map(str, arguments)])
    with pytest.raises(ValueError, match=r"BERT \+ objects needs objects, .* or leave the experiment out with --only"):
        main()
    assert not (tmp_path / "results").exists() and not (tmp_path / "runs").exists()


def test_smoke_tests_do_not_write_into_the_results(monkeypatch):
    arguments = ["--results", str(RESULTS), "run", "main", "data", "runs", "--steps", "2"]
    monkeypatch.setattr(sys, "argv", ["reproduce", *arguments])
    with pytest.raises(SystemExit, match="use another folder for --results"):
        main()

"""
Speed against F1 of the ways to run one model faster: objects as crops or as regions, stored vision features, and graphs
of ONNX Runtime with 8-bit weights.

    python -m examples.research.reproduce corpus posts
    python -m examples.research.speed_and_quality posts runs/speed_and_quality

Trains a tiny TGDI per seed and kind of objects on the embedded corpus, both encoders from random weights, and scores
each way on the test split. Models that were trained on the same rows for as long are not trained again. Time is
processor time of the model alone, on batches that are ready: the ways take turns batch by batch, so that a machine
whose speed drifts affects all alike.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from datasets import DatasetDict
from torch.utils.data import DataLoader
from transformers import set_seed

from examples.research.reproduce.rows import sample_rows
from examples.research.reproduce.train import commit, versions
from tgdi_hf import TGDICollator, TGDIForRelationExtraction, TGDIProcessor
from tgdi_hf.data.dataset_columns import undecoded
from tgdi_hf.data.loading import load_data
from tgdi_hf.evaluation.answers import metrics_of
from tgdi_hf.evaluation.spread import deviation
from tgdi_hf.export.exported_model import ExportedTGDI
from tgdi_hf.export.exporting import export_model
from tgdi_hf.training.build import build_model
from tgdi_hf.training.recipe import training_arguments
from tgdi_hf.training.run_record import digest_of_rows
from tgdi_hf.training.trainer import make_trainer

RESULTS = Path(__file__).parent / "results" / "speed_and_quality.json"
OBJECTS = ("crops", "regions")
BATCH_SIZE = 16

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("posts", type=Path, help="folder written by `python -m examples.research.reproduce corpus`")
parser.add_argument("runs", type=Path, help="folder for trained models")
parser.add_argument("--seeds", type=int, nargs="+", default=[0])
parser.add_argument("--epochs", type=float, default=5)
parser.add_argument("--share", type=float, default=1.0, help="share of the training rows")
parser.add_argument("--output", type=Path, default=RESULTS, help="JSON file; the figure lies beside it")

Batch = dict[str, torch.Tensor]


def train(corpus: DatasetDict, args: argparse.Namespace, objects: str, seed: int) -> Path:
    """The folder of the trained model, or ValueError if it has one that was trained otherwise."""
    folder = args.runs / f"{objects}-{seed}"
    settings = {"epochs": args.epochs, "share": args.share, "rows": digest_of_rows(corpus["train"])}
    record = folder / "speed_and_quality.json"  # written last
    if record.exists():
        found = json.loads(record.read_text())
        if found != settings:
            raise ValueError(f"{folder} has a model with {found}; expected {settings}. Name another folder for models.")
        return folder
    set_seed(seed)
    encoders = (str(args.posts / "encoders" / kind) for kind in ("text", "vision"))
    names = corpus["train"].features["label"].names
    model, processor = build_model(names, *encoders, freeze_vision=False, object_features=objects)
    rows = corpus["train"].select(sample_rows(corpus["train"]["label"][:], args.share, "random", seed))
    with TemporaryDirectory() as scratch:
        arguments = training_arguments(
            scratch,
            num_train_epochs=args.epochs,
            learning_rate=2e-3,
            per_device_train_batch_size=BATCH_SIZE,
            dataloader_num_workers=0,
            seed=seed,
            report_to="none",
        )
        trainer = make_trainer(model, processor, DatasetDict({**corpus, "train": rows}), arguments)
        trainer.train()
        trainer.save_model(str(folder))
    record.write_text(json.dumps(settings))
    return folder


def ways_of(folder: Path, objects: str, scratch: Path) -> dict[str, tuple[Callable[..., Any], bool]]:
    """Per way to run a model: the model or its graphs, and whether it reads stored features."""
    model = TGDIForRelationExtraction.from_pretrained(folder).eval()
    export_model(model, TGDIProcessor.from_pretrained(folder), scratch / objects, int8=True)
    graphs = ExportedTGDI(scratch / objects)
    return {
        objects: (model, False),
        f"{objects}, stored features": (model, True),
        f"{objects}, int8 ONNX": (graphs, False),
        f"{objects}, int8 ONNX, stored features": (graphs, True),
    }


def with_stored_features(batch: Batch, model: Any) -> Batch:
    """The batch with the vision features of `model` in place of pixels."""
    if "pixel_values" not in batch:
        return batch
    rest = {name: value for name, value in batch.items() if name != "pixel_values"}
    return {**rest, "vision_features": model.get_vision_features(batch["pixel_values"])}


@torch.inference_mode()
def measure(folders: dict[str, Path], corpus: DatasetDict) -> dict[str, dict[str, float]]:
    """Test F1 and posts per second of processor time of every way to run the models."""
    rows = undecoded(corpus["test"])
    names = corpus["test"].features["label"].names
    loaders, ways = {}, {}
    with TemporaryDirectory() as scratch:
        for objects, folder in folders.items():
            collator = TGDICollator(TGDIProcessor.from_pretrained(folder))
            loaders[objects] = DataLoader(rows, batch_size=BATCH_SIZE, collate_fn=collator)
            ways[objects] = ways_of(folder, objects, Path(scratch))
        seconds = {way: 0.0 for of in ways.values() for way in of}
        logits: dict[str, list[np.ndarray]] = {way: [] for way in seconds}
        for number, batches in enumerate(zip(*loaders.values(), strict=True)):
            for objects, batch in zip(loaders, batches):
                batch.pop("labels")
                for way, (model, stored) in ways[objects].items():
                    given = with_stored_features(batch, model) if stored else batch
                    start = time.process_time()
                    found = model(**given).logits
                    seconds[way] += (time.process_time() - start) * (number > 0)  # the first batch warms up
                    logits[way].append(found.numpy())
    answers = {"names": names, "negative": "None", "labels": np.array(corpus["test"]["label"][:])}
    return {
        way: {
            "f1": metrics_of({**answers, "probabilities": np.concatenate(logits[way])})["eval_f1"],
            "samples_per_second": (len(rows) - BATCH_SIZE) / seconds[way],
        }
        for way in seconds
    }


def draw(ways: dict[str, dict[str, list[float]]], file: Path) -> None:
    """Samples per second against F1: colours tell crops from regions, markers the ways to run them."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    markers = {"": "o", "stored features": "s", "int8 ONNX": "^", "int8 ONNX, stored features": "D"}
    for way, found in ways.items():
        objects, _, how = way.partition(", ")
        f1 = [100 * value for value in found["f1"]]
        colour = "#3b6ea5" if objects == "crops" else "#d95f02"
        speed = float(np.mean(found["samples_per_second"]))
        axes.errorbar(
            speed, np.mean(f1), deviation(f1), label=way, marker=markers[how], color=colour, capsize=3, linestyle="none"
        )
    axes.set(xlabel="samples per second of processor time", ylabel="F1 on test")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(file, dpi=110)


def main() -> None:
    args = parser.parse_args()
    code = commit()  # before training, since files may change meanwhile
    corpus = load_data(args.posts)
    ways: dict[str, dict[str, list[float]]] = {}
    for seed in args.seeds:
        folders = {objects: train(corpus, args, objects, seed) for objects in OBJECTS}
        for way, found in measure(folders, corpus).items():
            for name, value in found.items():
                ways.setdefault(way, {}).setdefault(name, []).append(value)
    results = {
        "ways": ways,
        "seeds": args.seeds,
        "epochs": args.epochs,
        "share": args.share,
        "batch_size": BATCH_SIZE,
        "machine": f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads",
        "versions": versions(),
        "commit": code,
    }
    args.output.write_text(json.dumps(results, indent=1) + "\n")
    draw(ways, args.output.with_suffix(".png"))
    for way, found in ways.items():
        speed = np.mean(found["samples_per_second"])
        print(f"{way:<40}F1 {100 * np.mean(found['f1']):.2f}   {speed:.1f} samples/s")


if __name__ == "__main__":
    main()

"""Does the matching gate suppress irrelevant images? A controlled benchmark on the embedded corpus.

    python -m examples.research.irrelevant_images run --results mine        # 8 models, 5 seeds, 5 shares; resumable
    python -m examples.research.irrelevant_images collect --results mine    # tables and figure, in that folder

Half of the posts are unambiguous without their image. The share of irrelevant images among these posts varies from 0 to
1 in training and, for every model, again at test; half of the irrelevant images show the scene of another relation.
Posts that need their image have the right one. Every run trains a tiny model from scratch and writes a JSON file;
several processes can share the work.
"""

import argparse
import itertools
import json
import statistics
import sys
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch.utils.data import DataLoader

from examples.research.baselines import BaselineConfig, HVPNeTForRelationExtraction
from examples.research.reproduce.collect import refuse_unlike
from examples.research.reproduce.train import commit, versions, write
from tgdi_hf import TGDICollator, make_corpus
from tgdi_hf.data.dataset_columns import undecoded
from tgdi_hf.data.image_identity import digest_of
from tgdi_hf.demo.demo import TEXT_ONLY, fit
from tgdi_hf.demo.tiny_model import tiny_tgdi
from tgdi_hf.evaluation.markdown import table
from tgdi_hf.evaluation.roc import area_under_roc
from tgdi_hf.evaluation.score_counts import micro_scores, row_counts
from tgdi_hf.evaluation.spread import deviation, mean_and_deviation

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
MODELS = {
    "text only": TEXT_ONLY,
    "HVPNeT-style": {},
    "TGDI without gate": {"use_matching_gate": False},
    "TGDI": {},
    "TGDI, matching loss": {"matching_loss_weight": 1.0},
    "TGDI, matching loss, gated prompts": {"matching_loss_weight": 1.0, "gate_visual_prompts": True},
    "TGDI, gated prompts": {"gate_visual_prompts": True},
    "TGDI, scaled similarity": {"similarity_function": "scaled_dot"},
}
ROWS = {"train": 4500, "validation": 450, "test": 900}
RESULTS = Path(__file__).parent / "results"
NEGATIVE = 0  # the id of `None` in the corpus


def tiny_hvpnet(corpus, **options):
    """The HVPNeT-style baseline with the tiny TGDI's encoders."""
    model, processor = tiny_tgdi(corpus, **options)
    of = model.config
    config = BaselineConfig(
        text_config=of.text_config.to_dict(), vision_config=of.vision_config.to_dict(), num_objects=0, use_caption=True,
        id2label=of.id2label, label2id=of.label2id, prefix_size=of.text_config.hidden_size,
    )  # fmt: skip
    return HVPNeTForRelationExtraction(config), processor


def corpus_with(share: float, seed: int, rows: dict[str, int]):
    """A corpus where `share` of the posts that do not need an image have an irrelevant one."""
    return make_corpus(rows, seed=seed, irrelevant_share=share / 2, missing_share=0.0)


@torch.inference_mode()
def answers_of(model, processor, rows) -> tuple[np.ndarray, np.ndarray | None]:
    """Predicted ids `(rows,)`, and the mean of the matching gate `(rows,)` if the model has one."""
    model.eval()
    answers, gates = [], []
    for batch in DataLoader(undecoded(rows), batch_size=64, collate_fn=TGDICollator(processor)):
        outputs = model(**batch)
        answers.append(outputs.logits.argmax(dim=-1))
        gate = getattr(outputs, "matching_gate", None)
        gates += [] if gate is None else [gate.mean(dim=-1)]
    return torch.cat(answers).numpy(), torch.cat(gates).numpy() if gates else None


def f1_by_need(answers: np.ndarray, rows) -> dict[str, float]:
    """F1 of all posts, of those that need their image, and of the others."""
    needs, counts = np.array(rows["needs_image"][:]), row_counts(answers, np.array(rows["label"][:]), NEGATIVE)
    groups = {"f1": np.ones_like(needs), "f1_needs": needs, "f1_needs_not": ~needs}
    return {group: float(micro_scores(counts[chosen].sum(axis=0))[3]) for group, chosen in groups.items()}


def run(name: str, seed: int, share: float, epochs: float, rows: dict[str, int] = ROWS) -> dict:
    """Trains one model at one share of irrelevant images, and scores it at every share on the same posts."""
    code = commit()  # before training, since files may change meanwhile
    corpus = corpus_with(share, seed, {split: rows[split] for split in ("train", "validation")})
    build = tiny_hvpnet if name == "HVPNeT-style" else tiny_tgdi
    with TemporaryDirectory() as scratch:
        trainer, seconds = fit(corpus, scratch, seed, epochs, build, **MODELS[name])
    result = {
        "model": name,
        "options": MODELS[name],
        "seed": seed,
        "train_share": share,
        "epochs": epochs,
        "rows": rows,
        "seconds": round(seconds),
        "command": " ".join(["python -m examples.research.irrelevant_images", *sys.argv[1:]]),
        "commit": code,
        "versions": versions(),
        "test": [],
    }
    for test_share in SHARES:
        test = corpus_with(test_share, seed, {"test": rows["test"]})["test"]
        answers, gates = answers_of(trainer.model, trainer.processing_class, test)
        scores, needs = f1_by_need(answers, test), np.array(test["needs_image"][:])
        relevant = np.array(test["relevance"][:]) == 1
        if gates is not None and not relevant[~needs].all() and relevant[~needs].any():
            scores |= {
                "gate_relevant": float(gates[~needs & relevant].mean()),
                "gate_irrelevant": float(gates[~needs & ~relevant].mean()),
                # Among posts that do not need an image: texts and labels are alike, only images differ.
                "auroc": area_under_roc(gates[~needs], relevant[~needs]),
            }
        result["test"].append({"share": test_share, **scores})
    return result


def values_of(results: list[dict], name: str, score: str, train_share: float, test_share: float) -> list[float]:
    """One value per seed. The text-only model was trained once: the share does not affect it."""
    return [
        test[score]
        for result in results
        if result["model"] == name and (result["train_share"] == train_share or name == "text only")
        for test in result["test"]
        if test["share"] == test_share and score in test
    ]


# Tables: title, score, and the shares in training and at test; `None` marks the swept one.
SECTIONS = (
    ("F1 of posts that need no image; trained without irrelevant ones", "f1_needs_not", 0.0, None),
    ("F1 of all posts; trained without irrelevant images", "f1", 0.0, None),
    ("F1 of posts that need no image; trained with one half irrelevant", "f1_needs_not", 0.5, None),
    ("F1 of all posts; trained with one half irrelevant", "f1", 0.5, None),
    ("F1 of all posts, by the share in training; tested with one half irrelevant", "f1", None, 0.5),
    ("AUROC of the gate's mean, relevant against irrelevant; by the share in training", "auroc", None, 0.5),
)


def sweep(train_share: float | None, test_share: float | None) -> list[tuple[float, float]]:
    return [(share if train_share is None else train_share, share if test_share is None else test_share)
            for share in SHARES]  # fmt: skip


def score_table(results: list[dict], score: str, train_share: float | None, test_share: float | None) -> str:
    """One row per model, one column per share."""
    header = [f"irrelevant {'in training' if train_share is None else 'at test'}"]
    header += [*(f"{100 * share:.0f} %" for share in SHARES), "seeds"]
    rows = []
    for name in MODELS:
        columns = [values_of(results, name, score, *shares) for shares in sweep(train_share, test_share)]
        if any(columns):
            counts = sorted({len(values) for values in columns if values})
            cells = [mean_and_deviation(values, digits=1) for values in columns]
            rows.append([name, *cells, " to ".join(map(str, counts))])
    return "\n".join(table(header, rows))


def collect(folder: Path) -> str:
    results = [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]
    for what in ("epochs", "rows"):
        refuse_unlike(str(folder), what, [result.get(what) for result in results])
    for name, options in MODELS.items():
        refuse_unlike(name, "options", [options, *(of.get("options") for of in results if of["model"] == name)])
    parts = [f"{title}\n\n{score_table(results, *of)}" for title, *of in SECTIONS]
    text = f"In percent, mean ± standard deviation over seeds; {len(results)} runs.\n\n" + "\n\n".join(parts) + "\n"
    (folder / "tables.md").write_text(text, encoding="utf-8")
    draw(results, folder / "figure.png")
    return text


def draw(results: list[dict], file: Path) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    figure = Figure(figsize=(11, 4), layout="constrained")
    for axes, (title, score, *fixed) in zip(figure.subplots(1, 2, sharey=True), (SECTIONS[0], SECTIONS[2])):
        for name in MODELS:
            columns = [values_of(results, name, score, *shares) for shares in sweep(*fixed)]
            points = [(100 * share, [100 * of for of in values]) for share, values in zip(SHARES, columns) if values]
            if points:
                means = [statistics.mean(values) for _, values in points]
                spread = [deviation(values) for _, values in points]
                axes.errorbar([share for share, _ in points], means, spread, label=name, marker="o", capsize=3)
        axes.set_title(title, fontsize=9)
        axes.set(xlabel="irrelevant at test, % of images of posts that need none", ylabel="F1")
        if axes.containers:
            axes.legend()
    figure.savefig(file, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["run", "collect"])
    parser.add_argument("--results", type=Path, default=RESULTS / "irrelevant_images")
    parser.add_argument("--seeds", type=int, nargs="+", default=range(5))
    parser.add_argument("--shares", type=float, nargs="+", default=SHARES, help="in training")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--epochs", type=float, default=5)
    args = parser.parse_args()
    args.results.mkdir(parents=True, exist_ok=True)
    if args.command == "collect":
        print(collect(args.results))
        return
    for seed, share, name in itertools.product(args.seeds, args.shares, args.models):
        if name == "text only":
            share = 0.5  # does not affect a model without images: trained once
        file = args.results / f"{name.replace(', ', '-').replace(' ', '-')}-{100 * share:g}-{seed}.json"
        try:
            # The lock ends with the process, so a killed run leaves nothing to clean up.
            with FileLock(Path(gettempdir(), f"{digest_of(str(file.resolve()).encode())}.lock"), timeout=0):
                if file.exists():  # must be the requested run
                    there = json.loads(file.read_text(encoding="utf-8"))
                    for what, value in (("epochs", args.epochs), ("rows", ROWS), ("options", MODELS[name])):
                        refuse_unlike(str(file), what, [there.get(what), value])
                    continue
                result = run(name, seed, share, args.epochs)
                write(result, file)
                print(name, seed, share, result["test"], flush=True)
        except Timeout:
            continue


if __name__ == "__main__":
    main()

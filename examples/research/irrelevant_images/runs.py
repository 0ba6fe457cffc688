"""One run: trains a model where all or some images fit, and scores it where others do."""

import sys
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from examples.research.reproduce.train import commit, versions
from tgdi_hf import TGDICollator, make_corpus
from tgdi_hf.data.dataset_columns import undecoded
from tgdi_hf.demo.demo import fit
from tgdi_hf.evaluation.gate_reliability import gate_reliability
from tgdi_hf.evaluation.order_sensitivity import order_sensitivity
from tgdi_hf.evaluation.probabilities import SwappedPairs, probabilities_of
from tgdi_hf.evaluation.roc import area_under_roc
from tgdi_hf.evaluation.score_counts import micro_scores, row_counts

from .models import MODELS

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
ROWS = {"train": 4500, "validation": 450, "test": 900}
NEGATIVE = 0  # the id of `None` in the corpus


def corpus_with(share: float, seed: int, rows: dict[str, int], misleading: float = 0.5):
    """A corpus where `share` of the posts that do not need an image have an irrelevant one; `misleading` of these show
    the scene of another relation."""
    return make_corpus(rows, seed=seed, irrelevant_share=share / 2, missing_share=0.0, misleading_share=misleading)


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


def scores_on(trainer, test) -> dict[str, float]:
    """F1 by need, and how well the mean of the gate separates relevant from irrelevant images."""
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
    return scores


def order_sensitivity_on(trainer, test) -> dict[str, Any]:
    """False positives in either order of the entities, and scores where it is unknown which one is the head."""
    model, processor, names = trainer.model, trainer.processing_class, test.features["label"].names
    rows = undecoded(test)
    listed, swapped = (
        probabilities_of(model, processor, names, of, directed=True, dataloader_num_workers=0, disable_tqdm=True)
        for of in (rows, SwappedPairs(rows))
    )
    return order_sensitivity(listed, swapped, np.array(test["label"][:]), names, model.config, test)


def run(
    name: str,
    seed: int,
    share: float,
    epochs: float,
    rows: dict[str, int] = ROWS,
    swapped: float | None = None,
    split: str = "test",
) -> dict[str, Any]:
    """Trains one model at one share of irrelevant images, and scores it at every share on the same posts, and where
    all images of posts that need none are misleading. `swapped` replaces the model's share of swapped images; choices
    are made on the split `validation`."""
    code = commit()  # before training, since files may change meanwhile
    options, swap_images, build = MODELS[name]
    swap_images = swap_images if swapped is None else swapped
    corpus = corpus_with(share, seed, {split: rows[split] for split in ("train", "validation")})
    with TemporaryDirectory() as scratch:
        trainer, seconds = fit(corpus, scratch, seed, epochs, build, swap_images=swap_images, **options)
    gated = getattr(trainer.model.config, "use_matching_gate", False)

    def posts(share: float, misleading: float = 0.5):
        return corpus_with(share, seed, {split: rows["test"]}, misleading)[split]

    return {
        "model": name,
        "split": split,
        "options": options,
        "swap_images": swap_images,
        "seed": seed,
        "train_share": share,
        "epochs": epochs,
        "rows": rows,
        "seconds": round(seconds),
        "command": " ".join(["python -m examples.research.irrelevant_images", *sys.argv[1:]]),
        "commit": code,
        "versions": versions(),
        "test": [{"share": test_share, **scores_on(trainer, posts(test_share))} for test_share in SHARES],
        "gate": gate_reliability(trainer.model, trainer.processing_class, posts(0.0), seed) if gated else None,
        "misleading": scores_on(trainer, posts(1.0, misleading=1.0)),
        "order": order_sensitivity_on(trainer, posts(0.0)),
    }

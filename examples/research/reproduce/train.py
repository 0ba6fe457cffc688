"""One run: an experiment with one seed, from pretrained encoders to a JSON file."""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, DatasetDict
from transformers import set_seed

from examples.research.baselines import BASELINES, build_baseline
from tgdi_hf.data.dataset_columns import texts_of, undecoded
from tgdi_hf.data.entity_order import fold_inverse_probabilities, swapped_labels
from tgdi_hf.data.perturbed import PerturbedDataset
from tgdi_hf.evaluation.order_prior import mean_of_both_orders, with_order_prior
from tgdi_hf.evaluation.order_sensitivity import order_sensitivity
from tgdi_hf.evaluation.probabilities import SwappedPairs, probabilities_of
from tgdi_hf.evaluation.report_scores import report_of
from tgdi_hf.evaluation.score_counts import micro_scores, row_counts
from tgdi_hf.modeling.negative_label import NEGATIVE
from tgdi_hf.processing.image_boxes import is_box
from tgdi_hf.training.build import build_model
from tgdi_hf.training.recipe import training_arguments
from tgdi_hf.training.run_record import claim, digest_of_rows, last_checkpoint
from tgdi_hf.training.trainer import make_trainer

from .averaged import AveragedWeights
from .caption_paths import CAPTION_PATHS, ChangedCaptions
from .corpus import MNRE, corpus_name
from .experiments import CONVOLUTIONS, Experiment, what_ran
from .rows import sample_rows, with_blank_crops

# Shared by all runs, so that no system has more epochs or another learning rate. The learning rate suits small encoders
# such as MiniLM; for BERT-base use `--learning-rate 3e-5`, as in the paper.
RECIPE = {
    "num_train_epochs": 3,
    "learning_rate": 1e-4,
    "per_device_train_batch_size": 16,
    "weight_decay": 0.01,
    "train_sampling_strategy": "group_by_length",
    "dataloader_num_workers": 0,
}
NONE_SHIFTS = (-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0)
# A convolution is trained from random weights, not fine-tuned.
CONVOLUTION_RECIPE = {"num_train_epochs": 15, "learning_rate": 1e-3}


def run(
    experiment: Experiment,
    seed: int,
    dataset: DatasetDict,
    data: Path,
    folder: Path,
    text_model: str,
    vision_model: str,
    glove: str | None = None,
    objects: str = "none",
    split: str = "validation",
    train_vision: bool = False,
    **arguments: Any,
) -> dict[str, Any]:
    r"""
    Trains, or resumes from the last checkpoint in `folder`, and scores the best epoch on validation.

    Args:
        experiment, seed: The run.
        dataset: From `load_data(data, objects)`.
        data: Folder of the corpus, for experiments with `crop_count`.
        folder: Folder for checkpoints.
        text_model, vision_model: The pretrained encoders.
        glove: Word vectors for CNN and PCNN.
        objects: The `objects` argument that `dataset` was loaded with.
        split: The scored split.
        train_vision: Whether the vision encoder is trained, too.
        arguments: Fields of `TrainingArguments` that override `RECIPE`; fields of the experiment override both.

    Returns:
        Scores, scores with `averaged` weights and `scored_under` perturbations, scores per relation, F1 after each
        epoch and with shifted log-odds of `None`, direction (and, for models trained on both orders, the scores
        `as_listed`, see `with_order_prior`), predictions per row, and settings, versions and commit.

    Raises:
        ValueError: See `refuse_unfit_data`.
    """
    set_seed(seed)
    code = commit()  # before training, since files may change meanwhile
    names, digests = dataset["train"].features["label"].names, digests_of(dataset, split)
    refuse_unfit_data(experiment, dataset, data)
    if experiment.crop_count:
        dataset = with_blank_crops(dataset, data, experiment.config.get("num_objects", 3))
    places = sample_rows(dataset["train"]["label"][:], experiment.share, experiment.sampling, seed)
    ids = dataset["train"].select(places)["id"][:]
    dataset = DatasetDict({**dataset, "train": dataset["train"].select(places)})
    is_convolution = experiment.model in CONVOLUTIONS
    if experiment.model != "tgdi":  # refuses unknown names
        texts = texts_of(dataset["train"])
        options = {"glove": glove} if is_convolution else {"direction_balanced": experiment.both_orders}
        model, processor = build_baseline(
            experiment.model, names, text_model, vision_model, texts, freeze_vision=not train_vision, **options,
            **experiment.config,
        )  # fmt: skip
    else:
        options = {} if experiment.preset is None else {"preset": experiment.preset}
        model, processor = build_model(
            names, text_model, vision_model, use_caption=experiment.use_caption, freeze_vision=not train_vision,
            direction_balanced=experiment.both_orders, **options, **experiment.config,
        )  # fmt: skip
        model.tgdi.__class__ = CAPTION_PATHS[experiment.caption_path]  # they have the same modules
    model.config.direction_balanced = experiment.both_orders
    identity = identity_of(
        experiment, digests, text_model, vision_model, glove, objects, split, arguments, train_vision
    )
    recipe = identity["recipe"]
    claim(folder, {"experiment": what_ran(asdict(experiment)), "seed": seed, **identity})
    training = training_arguments(folder, seed=seed, report_to="none", **recipe)
    changes = {"control": experiment.control, "share": experiment.control_share}
    if experiment.dropout is not None:
        set_dropout(model, experiment.dropout)
    class_weighted = None
    if experiment.class_weights:
        class_weighted = class_weighted_loss(dataset["train"]["label"][:], len(names), experiment.class_weights)
    averaged = AveragedWeights()
    trainer = make_trainer(
        model, processor, dataset, training, experiment.fusion_learning_rate, **changes,
        callbacks=[averaged], compute_loss_func=class_weighted,
    )  # fmt: skip
    if experiment.caption_dropout or experiment.swapped_captions:
        captions = ChangedCaptions(experiment.caption_dropout, experiment.swapped_captions, seed)
        trainer.train_dataset = trainer.train_dataset.with_transform(captions)
    started, checkpoint = time.time(), last_checkpoint(folder)
    trainer.train(resume_from_checkpoint=checkpoint)
    seconds = time.time() - started
    steps = trainer.state.global_step - (0 if checkpoint is None else int(str(checkpoint).rpartition("-")[2]))

    rows, labels = undecoded(dataset[split]), np.array(dataset[split]["label"][:])
    if experiment.control is not None:
        rows = PerturbedDataset(dataset[split], **changes, seed=seed)
    scoring = {name: arguments[name] for name in ("bf16",) if name in arguments}
    read = probabilities_of(trainer.model, processor, names, rows, directed=True, **scoring)
    of_swapped = probabilities_of(trainer.model, processor, names, SwappedPairs(rows), directed=True, **scoring)
    probabilities = fold_inverse_probabilities(read, names)
    of_average = probabilities_of(averaged.model, processor, names, rows, **scoring)
    scored_under = {
        control: scores_only(
            report_of(probabilities_of(trainer.model, processor, names, perturbed, **scoring), labels, names)
        )
        for control in experiment.scored_under
        for perturbed in [PerturbedDataset(dataset[split], control, seed=seed)]
    }
    posts = texts_of(dataset[split])
    report = report_of(probabilities, labels, names, posts=posts)
    listed, direction = None, order_sensitivity(read, of_swapped, labels, names, model.config, dataset[split])
    if experiment.both_orders:
        twice = mean_of_both_orders(read, of_swapped, names, model.config)
        of_listed = with_order_prior(twice, model, names, dataset[split], dataset["train"])
        listed = scores_only(report_of(of_listed, labels, names))
        if twice.shape[1] > len(names):
            of_one_pass = with_order_prior(read, model, names, dataset[split], dataset["train"])
            listed["f1_of_one_pass"] = scores_only(report_of(of_one_pass, labels, names))["f1"]
            direction |= direction_of_two_passes(twice, labels, names, model.config)
    result = {
        "experiment": asdict(experiment),
        "seed": seed,
        "corpus": corpus_name(data, names),
        "scores": scores_only(report),
        "averaged": scores_only(report_of(of_average, labels, names)),
        "scored_under": scored_under,
        "macro_f1": report["macro_f1"],
        "per_relation": report["per_relation"],
        "epochs": [round(log["eval_f1"], 4) for log in trainer.state.log_history if "eval_f1" in log],
        "as_listed": listed,
        "none_shift": none_shift(probabilities, labels, names.index(NEGATIVE)),
        "direction": direction,
        "train_rows": len(places),
        "row_ids": ids if experiment.share < 1 else None,
        "answers": probabilities.argmax(axis=1).tolist(),
        "labels": labels.tolist(),
        **identity,
        "seconds": round(seconds),
        "seconds_per_step": round(seconds / steps, 4) if steps else None,  # with the evaluation after each epoch
        "command": " ".join(["python -m examples.research.reproduce", *sys.argv[1:]]),
        "commit": code,
        "versions": versions(),
    }
    return result


def refuse_unfit_data(experiment: Experiment, dataset: DatasetDict, data: Path) -> None:
    r"""
    Raises:
        ValueError: The data lack what the experiment needs: captions, objects, their boxes, or MNRE's list of crops.
    """
    train = undecoded(dataset["train"])
    if experiment.group == "captions" and not ("caption" in train.column_names and any(train["caption"][:])):
        raise ValueError(
            f"{experiment.title} is compared in how it reads captions, and no training row of {data} has any: generate "
            "them with tgdi prepare."
        )
    corpus = corpus_name(data, train.features["label"].names)
    if experiment.crop_count and corpus != MNRE:
        raise ValueError(f"{experiment.title} counts the published crops of MNRE; {data} is {corpus}. Leave it out.")
    model_class = BASELINES[experiment.model][0] if experiment.model in BASELINES else None
    reads_objects_only = model_class is not None and model_class.reads_objects and not model_class.reads_image
    if not (experiment.group == "objects" or reads_objects_only):
        return
    found = first_object(train)
    if found is None:
        raise ValueError(
            f"{experiment.title} needs objects, and no training row of {data} has any: detect them with tgdi prepare, "
            "pass --objects published for MNRE's crops, or leave the experiment out with --only."
        )
    if model_class is not None and model_class.reads_boxes and not is_box(found):
        raise ValueError(
            f"{experiment.title} reads the boxes of objects, and those of {data} are images of their own: detect "
            "objects with tgdi prepare, or leave the experiment out with --only."
        )


def first_object(rows: Dataset) -> Any:
    """A box or an undecoded image, of which a corpus has one kind only; `None` if no row has an object."""
    if "objects" not in rows.column_names:
        return None
    return next((row["objects"][0] for row in rows.select_columns(["objects"]) if row["objects"]), None)


def identity_of(
    experiment: Experiment,
    digests: dict[str, str],
    text_model: str,
    vision_model: str,
    glove: str | None,
    objects: str,
    split: str,
    arguments: dict[str, Any],
    train_vision: bool = False,
) -> dict[str, Any]:
    """Settings, besides the seed, that identify a run; plain JSON."""
    is_convolution = experiment.model in CONVOLUTIONS
    recipe = {**RECIPE, **arguments, **(CONVOLUTION_RECIPE if is_convolution else {}), **experiment.arguments}
    if experiment.control is not None:
        recipe["train_sampling_strategy"] = "random"  # Trainer cannot read the lengths of perturbed rows
    return {
        "split": split,
        "recipe": recipe,
        "encoders": [Path(text_model).name, Path(vision_model).name],
        "glove": Path(glove).name if glove and is_convolution else None,
        "objects": objects,
        "train_vision": train_vision,
        "data": digests,
    }


def digests_of(dataset: DatasetDict, split: str) -> dict[str, str]:
    """Digests of the rows that a run trains on and is scored on."""
    return {name: digest_of_rows(dataset[name]) for name in ("train", split)}


def direction_of_two_passes(
    twice: np.ndarray, labels: np.ndarray, names: Sequence[str], config: Any
) -> dict[str, float]:
    """As `order_sensitivity`, from the output of `mean_of_both_orders`: in the listed and in the swapped order."""
    unrelated, negative = labels == names.index(NEGATIVE), names.index(NEGATIVE)
    orders = {"listed": twice, "swapped": twice[:, swapped_labels(names, config.symmetric_relations, inverses=True)]}
    predicted = {order: fold_inverse_probabilities(found, names).argmax(axis=1) for order, found in orders.items()}
    return {f"{order}_of_two_passes": float((ids[unrelated] != negative).mean()) for order, ids in predicted.items()}


def set_dropout(model: torch.nn.Module, probability: float) -> None:
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = probability


def class_weighted_loss(labels: Sequence[int], relations: int, power: float) -> Callable[..., torch.Tensor]:
    """Cross-entropy with weight n^-power for a relation with n rows, normalised to mean 1 over rows."""
    counts = np.bincount(labels, minlength=relations).clip(min=1)
    weights = torch.tensor(counts**-power * len(labels) / (counts ** (1 - power)).sum(), dtype=torch.float32)

    def loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
        logits = outputs.logits.float()
        summed = torch.nn.functional.cross_entropy(logits, labels, weights.to(labels.device), reduction="sum")
        return summed / ((labels != -100).sum() if num_items_in_batch is None else num_items_in_batch)

    return loss


def none_shift(probabilities: np.ndarray, labels: np.ndarray, negative: int) -> dict[str, float]:
    """F1 with the log-odds of `None` shifted: the most that correcting its prior could gain."""
    found = {}
    for shift in NONE_SHIFTS:
        shifted = probabilities.copy()
        shifted[:, negative] *= np.exp(shift)  # normalisation would not change the argmax
        counts = row_counts(shifted.argmax(axis=1), labels, negative).sum(axis=0)
        found[f"{shift:+.2f}"] = round(float(micro_scores(counts)[3]), 4)
    return found


def scores_only(report: dict[str, Any]) -> dict[str, float]:
    """Accuracy, precision, recall and F1 of a report, without their intervals."""
    return {name: score["value"] for name, score in report["scores"].items()}


def commit() -> str | None:
    """Commit of the checkout, marked if it has uncommitted changes."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    found = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


def versions() -> dict[str, str]:
    names = ("torch", "transformers", "accelerate", "datasets")
    return {**{name: version(name) for name in names}, "python": platform.python_version()}


def write(result: dict[str, Any], file: Path) -> None:
    """Writes atomically: an interrupted run leaves no file that looks finished."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_text(json.dumps(result, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(part, file)

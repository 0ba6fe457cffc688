"""A report on a model: scores with intervals, by relation and kind of post, calibration, the order of entities."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from datasets import ClassLabel, Dataset, List
from transformers import EvalPrediction, Trainer

from ..checkpoints import check_revision
from ..data.collator import TGDICollator
from ..data.dataset_columns import texts_of, undecoded
from ..data.entity_order import (
    apply_order_prior,
    listed_order_weights,
    of_both_passes,
    swapped_labels,
    without_inverses,
)
from ..data.labels import label_names
from ..data.perturbed import PerturbedDataset
from ..modeling.configuration_tgdi import TGDIConfig
from ..modeling.modeling_tgdi import TGDIForRelationExtraction
from ..modeling.negative_label import AUTO, NEGATIVE, negative_of
from ..processing.processing_tgdi import TGDIProcessor
from ..training.fine_tuning import training_arguments
from .bootstrap import (
    ROUNDS,
    bootstrap,
    calibration,
    f1_of,
    interval,
    mcnemar,
    paired_difference,
    relation_counts,
    resampled_sums,
    row_counts,
    scores_of,
    summed_by,
)
from .metric import make_compute_metrics, relation_scores
from .order_report import direction_of

# The relations of the paper's Table 3.
PAPER_CATEGORIES = (
    "/per/per/peer",
    "/per/org/member_of",
    "/loc/loc/contain",
    "/per/misc/present_in",
    "/org/loc/locate_at",
    "/per/loc/place_of_residence",
)
# MNRE's published image-text correlations pile up at zero: half of them are below 0.001, a tenth above 0.12.
RELEVANCE_CUTS = (0.001, 0.1)
FEW = 30  # rows of a group, of which no interval would say anything
SCORES = ("accuracy", "precision", "recall", "f1")


def load_for_evaluation(
    checkpoint: str | Path, dataset: Dataset, negative: str | None = AUTO, revision: str | None = None
) -> tuple[Any, TGDIProcessor, list[str], Dataset]:
    r"""
    Args:
        checkpoint: A fine-tuned model with its processor.
        dataset: Rows with `label`; its names are the model's relations, or some of them, in any order.
        negative: The label that stands for no relation, which the model's configuration has afterwards; see
            `negative_of`.
        revision: Branch, tag or commit of the checkpoint on the Hub.

    Returns:
        Model, processor, the names of the relations, and the dataset with the model's ids of them.

    Raises:
        ValueError: A revision of a folder; the checkpoint is no TGDI, the data has a relation that the model does not
            know, or rows with one label each and the model several, or the other way round; or see `negative_of`.
    """
    check_revision(checkpoint, revision)
    at = {} if revision is None else {"revision": revision}
    kind = TGDIConfig.get_config_dict(checkpoint, **at)[0].get("model_type")
    if kind != TGDIConfig.model_type:
        raise ValueError(
            f"{checkpoint} is a model of type {kind!r}; expected {TGDIConfig.model_type!r}. Loaded as a TGDI it would "
            "have random weights wherever the two differ."
        )
    model = TGDIForRelationExtraction.from_pretrained(checkpoint, **at)
    processor = TGDIProcessor.from_pretrained(checkpoint, **at)
    names = [model.config.id2label[i] for i in range(model.config.num_labels)]
    if label_names(dataset)[1] != (model.config.thresholds is not None):
        raise ValueError(
            f"The model in {checkpoint} has `problem_type={model.config.problem_type!r}`, and the label of a row is "
            f"{dataset.features['label']}. A multi-label model is scored on rows with lists of labels, another one on "
            "rows with one each."
        )
    model.config.negative_label = model.config.find_negative(negative)
    return model, processor, names, _with_labels_of(names, dataset, checkpoint)


def _with_labels_of(names: list[str], dataset: Dataset, checkpoint: str | Path) -> Dataset:
    """The dataset with the model's ids of its relations, which are matched by name."""
    given, several = label_names(dataset)
    unknown = [name for name in given if name not in names]
    if unknown:
        raise ValueError(
            f"The data has the relation {unknown[0]!r}, which the model in {checkpoint} does not know; it knows "
            f"{', '.join(names)}."
        )
    if given == names:
        return dataset
    ids = [names.index(name) for name in given]
    known = ClassLabel(names=names)
    labels = [[ids[i] for i in label] if several else ids[label] for label in dataset["label"][:]]
    return dataset.remove_columns("label").add_column("label", labels, feature=List(known) if several else known)


def trainer_for(model: Any, processor: TGDIProcessor, output_dir: str | Path, names: Sequence[str], **arguments: Any):
    """A `Trainer` that only scores; `arguments` are fields of `TrainingArguments`."""
    options = {"eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": False, **arguments}
    args = training_arguments(output_dir, **options)
    thresholds = getattr(model.config, "thresholds", None)
    num_labels = None if thresholds is None else len(names)
    negative = negative_of(model.config, names)
    return Trainer(
        model=model,
        args=args,
        data_collator=TGDICollator(processor, share_images=args.n_gpu <= 1, num_labels=num_labels),
        compute_metrics=make_compute_metrics(names, negative, per_relation=True, thresholds=thresholds),
    )


def evaluate(
    checkpoint: str | Path,
    dataset: Dataset,
    output_dir: str | Path | None = None,
    control: PerturbedDataset | None = None,
    train: Dataset | None = None,
    negative: str | None = AUTO,
    revision: str | None = None,
    **arguments: Any,
) -> dict[str, float]:
    r"""
    Scores a checkpoint on one split.

    Args:
        checkpoint: A fine-tuned model with its processor.
        dataset: Rows with `label`; its names are the model's relations, or some of them, in any order.
        output_dir: Where `Trainer` may write; a temporary folder by default.
        control: The same rows, changed; see `PerturbedDataset`.
        train: The training rows of a model that was trained on both orders, to answer as on rows that are listed like
            these, see `listed_order_weights`.
        negative: The label that stands for no relation, or `None`; by default as the model's configuration says.
        revision: Branch, tag or commit of `checkpoint` on the Hub.
        arguments: Fields of `TrainingArguments` (`per_device_eval_batch_size`, `bf16_full_eval`, ...).

    Returns:
        `eval_accuracy` over all rows; micro `eval_precision`, `eval_recall` and `eval_f1` without `None`; the same for
        each relation.

    Raises:
        ValueError: The checkpoint is no TGDI, or the data has a relation that the model does not know.
    """
    model, processor, names, dataset = load_for_evaluation(checkpoint, dataset, negative, revision)
    if train is not None:
        train, rows = _balanced_rows(model, names, train, checkpoint), _rows(dataset, control)
        probabilities = _listed_probabilities(model, processor, names, rows, dataset, train, **arguments)
        answers = {"names": names, "labels": np.array(dataset["label"][:]), "probabilities": probabilities}
        return metrics_of({**answers, "negative": model.config.negative_label})
    with TemporaryDirectory() as scratch:
        trainer = trainer_for(model, processor, output_dir or scratch, names, **arguments)
        return trainer.evaluate(_rows(dataset, control), metric_key_prefix="eval")


def _balanced_rows(model, names, train, checkpoint) -> Dataset:
    if not model.config.direction_balanced:
        raise ValueError(
            f"The model in {checkpoint} was not trained on both orders (`tgdi train --both-orders`): what the listed "
            "order says it has learned itself, and would count it twice."
        )
    return _with_labels_of(names, train, checkpoint)


def mean_of_both_orders(
    probabilities: np.ndarray, of_swapped: np.ndarray | None, names: Sequence[str], config: Any
) -> np.ndarray:
    r"""
    What a model with inverse relations says of pairs that it reads in either order, see `of_both_passes`.

    Args:
        probabilities: What it says of the rows, from `probabilities_of(…, directed=True)`.
        of_swapped: The same of `Swapped` rows.
        names: The relations.
        config: The model's.

    Returns:
        `(rows, L + I)`; of a model without inverse relations, which needs no `of_swapped`, `probabilities` as they are.
    """
    if probabilities.shape[1] == len(names):
        return probabilities
    swapped_label = swapped_labels(names, config.symmetric_relations, True, negative_of(config, names))
    return of_both_passes(probabilities, of_swapped, swapped_label)


def _listed_probabilities(model, processor, names, rows, dataset, train, **arguments) -> np.ndarray:
    """See `given_listed_order`."""
    read = probabilities_of(model, processor, names, rows, directed=True, **arguments)
    of_swapped = None
    if read.shape[1] > len(names):
        of_swapped = probabilities_of(model, processor, names, Swapped(rows), directed=True, **arguments)
    read = mean_of_both_orders(read, of_swapped, names, model.config)
    return given_listed_order(read, model, names, dataset, train)


def given_listed_order(
    probabilities: np.ndarray, model: Any, names: Sequence[str], dataset: Dataset, train: Dataset
) -> np.ndarray:
    r"""
    What a model that was trained on both orders says of rows, given that they are listed like those it learned from.

    Args:
        probabilities: From `probabilities_of(…, directed=True)` or `mean_of_both_orders`.
        model, names: The model and its relations.
        dataset: The rows that were scored, as they are listed.
        train: The training rows, see `listed_order_weights`.

    Returns:
        `(rows, L)`.
    """
    symmetric, inverses = getattr(model.config, "symmetric_relations", None), probabilities.shape[1] > len(names)
    negative = negative_of(model.config, names)
    weights = listed_order_weights(train, names, symmetric, inverses, negative)
    return without_inverses(apply_order_prior(probabilities, weights, dataset), names, negative)


class Swapped:
    """Rows, read as they are needed, with head and tail in each other's place."""

    def __init__(self, rows: Any):
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = self.rows[index]
        return {**row, "head": row["tail"], "tail": row["head"]}


class _Labelled:
    """Changed rows with the model's ids of the relations."""

    def __init__(self, control: PerturbedDataset, labels: Sequence[int]):
        self.control, self.labels = control, labels

    def __len__(self) -> int:
        return len(self.control)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {**self.control[index], "label": self.labels[index]}


def _rows(dataset: Dataset, control: PerturbedDataset | None) -> Any:
    return undecoded(dataset) if control is None else _Labelled(control, dataset["label"][:])


def probabilities_of(
    model: Any, processor: TGDIProcessor, names: Sequence[str], rows: Any, directed: bool = False, **arguments: Any
):
    """What a model says of every row of a dataset, or list of rows, with labels: `(rows, L)`, or `directed` `(rows, L +
    I)`, with the inverse relations of one that has them."""
    ignored = [name for name in model.config.keys_to_ignore_at_inference if name != "directed_logits" or not directed]
    with TemporaryDirectory() as scratch:
        logits = trainer_for(model, processor, scratch, names, **arguments).predict(rows, ignored).predictions
    logits = (logits[int(directed)] if isinstance(logits, tuple) else logits).astype(np.float64)
    if getattr(model.config, "thresholds", None) is not None:
        return 1 / (1 + np.exp(-logits))
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def evaluation_report(
    checkpoint: str | Path,
    dataset: Dataset,
    compare: str | Path | None = None,
    control: PerturbedDataset | None = None,
    rounds: int = ROUNDS,
    seed: int = 0,
    train: Dataset | None = None,
    negative: str | None = AUTO,
    revision: str | None = None,
    **arguments: Any,
) -> tuple[dict[str, Any], dict[str, Any]]:
    r"""
    Scores a checkpoint on one split, with all that one would want to know of the scores.

    Args:
        checkpoint: A fine-tuned model with its processor.
        dataset: Rows with `label`.
        compare: Another checkpoint, to compare it with on the same rows.
        control: The same rows, changed; see `PerturbedDataset`.
        rounds, seed: Of the bootstrap.
        train: As in `evaluate`. `direction` is without it, and so is another checkpoint that was not trained on both
            orders.
        negative, revision: As in `evaluate`.
        arguments: Fields of `TrainingArguments`.

    Returns:
        As plain JSON: what `report_of` has; `direction`: see `direction_of`; and with `compare` `comparison`: by how
        much the F1 of `checkpoint` is above that of the other, by paired bootstrap over posts, and McNemar's test on
        what is right, which takes rows as independent (`only_one` counts those that the other checkpoint alone gets
        right). And `names`, `negative`, `labels` and `probabilities`, as they were scored.

    Raises:
        ValueError: The data has a relation that a model does not know, or `train` is given for a model that was not
            trained on both orders.
    """
    as_given = dataset
    model, processor, names, dataset = load_for_evaluation(checkpoint, as_given, negative, revision)
    if model.config.thresholds is not None:
        raise ValueError(
            f"The model in {checkpoint} may give a row several labels; the report is about rows with one. `evaluate` "
            "(`tgdi evaluate` without `--report`) scores it."
        )
    negative = model.config.negative_label
    listed = train  # with the names that it came with
    if train is not None:
        train = _balanced_rows(model, names, train, checkpoint)
    rows, labels = _rows(dataset, control), np.array(dataset["label"][:])
    read = probabilities_of(model, processor, names, rows, directed=True, **arguments)
    probabilities = without_inverses(read, names, negative)
    direction, of_swapped = {}, None
    if negative is not None:
        of_swapped = probabilities_of(model, processor, names, Swapped(rows), directed=True, **arguments)
        direction = {"direction": direction_of(read, of_swapped, labels, names, model.config, dataset)}
    if train is not None:
        read = mean_of_both_orders(read, of_swapped, names, model.config)
        probabilities = given_listed_order(read, model, names, dataset, train)
    posts = texts_of(dataset)
    report = report_of(probabilities, labels, names, _columns(dataset, control), rounds, seed, posts, negative)
    report |= {"checkpoint": str(checkpoint), "as_listed": train is not None, **direction}
    if compare is not None:
        other, other_processor, known, others = load_for_evaluation(compare, as_given)
        rows = _rows(others, control)
        if listed is not None and other.config.direction_balanced:
            known_rows = _balanced_rows(other, known, listed, compare)
            found = _listed_probabilities(other, other_processor, known, rows, others, known_rows, **arguments)
        else:
            found = probabilities_of(other, other_processor, known, rows, **arguments)
        # The two may number relations differently, and one may know more of them than the other.
        ids = np.array([names.index(name) if name in names else len(names) for name in known])
        none = None if negative is None else names.index(negative)
        answers = ids[found.argmax(axis=1)], probabilities.argmax(axis=1)
        report["comparison"] = {
            "with": str(compare), **comparison_of(*answers, labels, none, posts, rounds, seed)
        }  # fmt: skip
    return report, {"names": names, "negative": negative, "labels": labels, "probabilities": probabilities}


def comparison_of(
    one: np.ndarray,
    two: np.ndarray,
    labels: np.ndarray,
    negative: int | None,
    posts: Sequence[Any] | None = None,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> dict[str, Any]:
    r"""
    Two models' answers to the same rows.

    Args:
        one, two, labels: `(rows,)`, ids.
        negative: The id of `None`.
        posts, rounds, seed: See `report_of`.

    Returns:
        `f1`: the second's minus the first's, see `paired_difference`, over posts; `mcnemar`, over rows.
    """
    counts = [summed_by(row_counts(answers, labels, negative), posts) for answers in (one, two)]
    return {"f1": paired_difference(*counts, rounds, seed), "mcnemar": mcnemar(one == labels, two == labels)}


def metrics_of(answers: Mapping[str, Any]) -> dict[str, float]:
    """What `evaluate` returns, from the answers behind a report: the model does not run again."""
    names = answers["names"]
    compute = make_compute_metrics(names, answers["negative"], per_relation=True)
    found = compute(EvalPrediction(answers["probabilities"], answers["labels"]))
    return {f"eval_{name}": value for name, value in found.items()}


def errors_of(answers: Mapping[str, Any], rows: Any) -> Iterator[dict[str, Any]]:
    """The rows that are wrong, the most certain answers first, with the names of `relation` and `predicted` one."""
    predicted = answers["probabilities"].argmax(axis=1)
    wrong = np.flatnonzero(predicted != answers["labels"])
    for i in wrong[np.argsort(-answers["probabilities"][wrong].max(axis=1), kind="stable")].tolist():
        row = {name: value for name, value in rows[i].items() if name != "label"}
        yield {
            **row,
            "relation": answers["names"][answers["labels"][i]],
            "predicted": answers["names"][predicted[i]],
            "score": float(answers["probabilities"][i].max()),
        }


def _columns(dataset: Dataset, control: PerturbedDataset | None = None) -> dict[str, list[Any]]:
    """What posts are grouped by, where the data has it, as the model got to see them."""
    columns: dict[str, list[Any]] = {}
    if "relevance" in dataset.features:
        relevance = dataset["relevance"][:]
        if control is not None and control.changes("image"):
            for place in control.changed:
                relevance[place] = None  # it was that of another image
        columns["relevance"] = relevance
    for name in ("image", "caption"):
        if name in dataset.features:
            there = np.array([bool(value) for value in undecoded(dataset)[name]])
            if control is not None and control.removes(name):
                there[control.changed] = False
            columns[name] = there.tolist()
    return columns


def report_of(
    probabilities: np.ndarray,
    labels: np.ndarray,
    names: Sequence[str],
    columns: Mapping[str, Sequence[Any]] | None = None,
    rounds: int = ROUNDS,
    seed: int = 0,
    posts: Sequence[Any] | None = None,
    negative: str | None = NEGATIVE,
) -> dict[str, Any]:
    r"""
    The part of a report that needs no model.

    Args:
        probabilities: `(rows, relations)`.
        labels: `(rows,)`, ids.
        names: The relations in the order of their ids.
        columns: Of the rows: whether they have an `image` and a `caption`, and their `relevance`.
        rounds, seed: Of the bootstrap.
        posts: The post of every row; by default each is one by itself.
        negative: The label that stands for no relation, called `None` below; `None` if every label is a relation.

    Returns:
        - `rows`; `scores`: `accuracy`, and micro `precision`, `recall` and `f1` without `None`, each with its 95 %
          interval by bootstrap over posts;
        - `macro_f1`, with its 95 % interval `macro_f1_interval`: the mean F1 of the relations, `None` left out, that
          have a row or are predicted for one; another counts neither as 0 nor as 1;
        - `paper_categories`: the relations of the paper's Table 3; `per_relation`: all of them; with `f1_interval`, of
          those with 30 rows or more;
        - `confusion`: `names` and a `matrix`, real relations in rows;
        - `groups`: the scores by `relevance` (cut at 0.001 and 0.1; what the data says of a post's image, whether or
          not its file is there), by `image` and by `caption`, `None` where there is nothing to divide by, and without
          intervals in groups of less than 30 rows;
        - `calibration`: see there.
    """
    none = None if negative is None else list(names).index(negative)
    predictions = probabilities.argmax(axis=1)
    counts = row_counts(predictions, labels, none)
    of_all = relation_scores(predictions, labels, names, negative)
    matrix = np.zeros((len(names), len(names)), dtype=int)
    np.add.at(matrix, (labels, predictions), 1)
    relations = [i for i in range(len(names)) if i != none]
    each = summed_by(relation_counts(predictions, labels, len(names)), posts)
    samples = f1_of(resampled_sums(each, rounds, seed))  # (rounds, relations)
    for of, values in zip(of_all["per_relation"].values(), samples.T):
        of["f1_interval"] = [*interval(values[~np.isnan(values)])] if of["support"] >= FEW else None
    macro = [_mean_of_some(values) for values in samples[:, relations]]
    return {
        "rows": len(labels),
        "scores": _with_intervals(counts, rounds, seed, posts),
        "macro_f1": _mean_of_some(f1_of(each.sum(axis=0))[relations]),
        "macro_f1_interval": [*interval(np.array(macro))],
        "paper_categories": {n: of_all["per_relation"][n] for n in PAPER_CATEGORIES if n in of_all["per_relation"]},
        "per_relation": of_all["per_relation"],
        "confusion": {"names": list(names), "matrix": matrix.tolist()},
        "groups": {
            name: {
                group: _of_group(
                    counts[mask], rounds, seed, None if posts is None else [posts[i] for i in np.flatnonzero(mask)]
                )
                for group, mask in _masks(name, values).items()
                if mask.any()
            }
            for name, values in (columns or {}).items()
        },
        "calibration": calibration(probabilities.max(axis=1), predictions == labels),
    }


def _mean_of_some(values: np.ndarray) -> float:
    """Of those that are numbers; 0 without any."""
    return float(values[~np.isnan(values)].mean()) if not np.isnan(values).all() else 0.0


def _with_intervals(counts: np.ndarray, rounds: int, seed: int, posts: Sequence[Any] | None) -> dict[str, Any]:
    values, samples = scores_of(counts.sum(axis=0)), bootstrap(summed_by(counts, posts), rounds, seed)
    found = {}
    for i, name in enumerate(SCORES):
        low, high = interval(samples[:, i])
        found[name] = {"value": float(values[i]), "low": low, "high": high}
    return found


def _of_group(counts: np.ndarray, rounds: int, seed: int, posts: Sequence[Any] | None) -> dict[str, Any]:
    found = _with_intervals(counts, rounds, seed, posts)
    if len(counts) < FEW:
        found = {name: {**score, "low": None, "high": None} for name, score in found.items()}
    predicted, real = counts[:, 3:].sum(axis=0)
    for name, divisor in (("precision", predicted), ("recall", real), ("f1", predicted + real)):
        if not divisor:
            found[name] = dict.fromkeys(("value", "low", "high"))
    return {"rows": len(counts), **found}


def _masks(name: str, values: Sequence[Any]) -> dict[str, np.ndarray]:
    if name != "relevance":
        there = np.array([bool(value) for value in values])
        return {"present": there, "absent": ~there}
    known = np.array([np.nan if value is None else value for value in values], dtype=float)
    low, high = RELEVANCE_CUTS
    return {
        f"below {low}": known < low,
        f"{low} to {high}": (known >= low) & (known < high),
        f"from {high}": known >= high,
        "unknown": np.isnan(known),
    }


def as_markdown(report: Mapping[str, Any]) -> str:
    """A report as tables, in percent, below what it is about."""
    lines = [_conditions(report), ""] if "scored" in report else []
    lines += ["| | rows | accuracy | precision | recall | F1 |", "|---|---|---|---|---|---|"]
    lines.append(_row("all", {"rows": report["rows"], **report["scores"]}))
    titles = {"image": "image", "caption": "caption", "relevance": "relevance"}
    for name, groups in report["groups"].items():
        lines += [_row(f"{titles[name]} {group}", values) for group, values in groups.items()]
    lines += ["", "In percent, with 95 % intervals by bootstrap over posts.", ""]
    macro = _cell(report["macro_f1"], *report["macro_f1_interval"])
    lines.append(f"Macro-F1 over the relations that have a row or are predicted: {macro}.")
    lines.append(f"Expected calibration error: {report['calibration']['ece']:.3f}.")
    if report.get("direction"):
        direction = {name: 100 * report["direction"][name] for name in ("listed", "swapped")}
        lines.append(
            f"Rows without relation that are given a relation: {direction['listed']:.1f} % as listed, "
            f"{direction['swapped']:.1f} % with head and tail swapped."
        )
    if report.get("direction", {}).get("order_unknown"):
        unknown = {name: 100 * value for name, value in report["direction"]["order_unknown"].items()}
        lines.append(
            "Where the model has to find out which entity is the head, as for all pairs of a post: precision "
            f"{unknown['precision']:.1f}, recall {unknown['recall']:.1f}, F1 {unknown['f1']:.1f}, and "
            f"{unknown['unrelated_given']:.1f} % of the rows without relation are given a relation."
        )
    if "comparison" in report:
        lines += ["", comparison_text(report["comparison"])]
    if report["paper_categories"]:
        lines += ["", *_relation_table("of the paper's Table 3", report["paper_categories"])]
    lines += ["", *_relation_table("relation", report["per_relation"])]
    return "\n".join(lines) + "\n"


def _relation_table(title: str, relations: Mapping[str, Any]) -> list[str]:
    lines = [f"| {title} | rows | precision | recall | F1 |", "|---|---|---|---|---|"]
    for name, of in relations.items():
        precision, recall = (f"{100 * of[kind]:.1f}" for kind in ("precision", "recall"))
        f1 = _cell(of["f1"], *(of["f1_interval"] or (None, None)))
        lines.append(f"| `{name}` | {of['support']} | {precision} | {recall} | {f1} |")
    return lines


def _conditions(report: Mapping[str, Any]) -> str:
    of = report["scored"]
    parts = [f"{report['checkpoint']} on {of['data']}, split {of['split']}"]
    if of["objects"] != "none":
        parts.append(f"**with {of['objects']} object crops, whose number gives the label away**")
    if of["control"] is not None:
        parts.append(
            f"**under the control {of['control']}, which changed {of['changed']:,} of {report['rows']:,} rows**"
        )
    if of["listed_order"]:
        parts.append("with what the listed order of head and tail says in the split train")
    return ", ".join(parts) + "."


def _row(name: str, values: Mapping[str, Any]) -> str:
    cells = [_cell(**values[score]) for score in SCORES]
    return f"| {name} | {values['rows']:,} | {' | '.join(cells)} |"


def _cell(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "–"
    return f"{100 * value:.1f}" + ("" if low is None else f" ({100 * low:.1f} to {100 * high:.1f})")


def comparison_text(found: Mapping[str, Any]) -> str:
    """A comparison, with the name of the other model in `with`, as a sentence."""
    f1, test = found["f1"], found["mcnemar"]
    low, high = (100 * bound for bound in f1["interval"])
    return (
        f"F1 minus that of {found['with']}: {100 * f1['difference']:+.1f} points ({low:+.1f} to {high:+.1f}), paired "
        f"bootstrap over posts p = {f1['p']:.3f}; right where the other is wrong {test['only_two']} rows, the other "
        f"way round {test['only_one']}, McNemar (as if rows were independent) p = {test['p']:.3f}. This "
        "compares two checkpoints; whether two ways of training differ, only several seeds of each can say."
    )

"""A checkpoint and the rows to score, with the label ids of the model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from datasets import ClassLabel, Dataset, List

from ..checkpoints import check_revision, explain_hub_errors
from ..data.labels import label_names
from ..modeling.configuration_tgdi import TGDIConfig
from ..modeling.modeling_tgdi import TGDIForRelationExtraction
from ..modeling.negative_label import AUTO
from ..processing.processing_tgdi import TGDIProcessor
from ..processing.processor_options import check_same_object_features


class LoadedCheckpoint(NamedTuple):
    """A checkpoint, and the dataset that it is scored on."""

    model: TGDIForRelationExtraction
    processor: TGDIProcessor
    names: list[str]
    dataset: Dataset


def load_for_evaluation(
    checkpoint: str | Path, dataset: Dataset, negative: str | None = AUTO, revision: str | None = None
) -> LoadedCheckpoint:
    r"""
    Loads a checkpoint and maps the labels of a dataset to the ids of its model.

    Args:
        checkpoint: A fine-tuned model with its processor.
        dataset: Rows with `label`; its names are the model's relations, or some of them, in any order.
        negative: The label that stands for no relation, which is set in the model's configuration; see `negative_of`.
        revision: Branch, tag or commit of the checkpoint on the Hub.

    Returns:
        Model, processor, the names of the relations in the order of their ids, and the dataset with these ids.

    Raises:
        ValueError: A revision of a local folder; the checkpoint cannot be loaded, or is not a TGDI model; the data has
            a relation that is not a label of the model; or one of model and data is multi-label and the other is not.
            See also `negative_of`.
    """
    check_revision(checkpoint, revision)
    at: dict[str, Any] = {} if revision is None else {"revision": revision}
    with explain_hub_errors(checkpoint):
        check_model_type(checkpoint, revision)
        model = TGDIForRelationExtraction.from_pretrained(checkpoint, **at)
        processor = TGDIProcessor.from_pretrained(checkpoint, **at)
    check_same_object_features(model.config, processor)
    names = [name for _, name in sorted(model.config.id2label.items())]
    if label_names(dataset)[1] != (model.config.thresholds is not None):
        raise ValueError(
            f"The model in {checkpoint} has `problem_type={model.config.problem_type!r}`, but the label of a row is "
            f"{dataset.features['label']}. A multi-label model is scored on rows with lists of labels, any other model "
            "on rows with one label each."
        )
    model.config.negative_label = model.config.find_negative(negative)
    return LoadedCheckpoint(model, processor, names, with_label_ids(dataset, names, checkpoint))


def check_model_type(checkpoint: str | Path, revision: str | None = None) -> None:
    """Raises `ValueError` if a checkpoint, of a folder or at a revision on the Hub, is not a TGDI model."""
    at: dict[str, Any] = {} if revision is None else {"revision": revision}
    kind = TGDIConfig.get_config_dict(checkpoint, **at)[0].get("model_type")
    if kind != TGDIConfig.model_type:
        raise ValueError(
            f"{checkpoint} is a model of type {kind!r}; expected {TGDIConfig.model_type!r}. Loaded as a TGDI it would "
            "have random weights wherever the two differ."
        )


def with_label_ids(dataset: Dataset, names: Sequence[str], checkpoint: str | Path) -> Dataset:
    r"""
    Maps the labels of a dataset to a model's ids, by name.

    Args:
        dataset: Rows with `label`.
        names: The model's relations in the order of their ids.
        checkpoint: Names the model in errors.

    Raises:
        ValueError: The data has a relation that is not a label of the model.
    """
    given, several = label_names(dataset)
    unknown = [name for name in given if name not in names]
    if unknown:
        raise ValueError(
            f"The data has the relation {unknown[0]!r}, which is not a label of the model in {checkpoint}; "
            f"its labels are {', '.join(names)}."
        )
    if given == [*names]:
        return dataset
    ids = [names.index(name) for name in given]
    known = ClassLabel(names=[*names])
    labels = [[ids[i] for i in label] if several else ids[label] for label in dataset["label"][:]]
    return dataset.remove_columns("label").add_column("label", labels, feature=List(known) if several else known)


def prior_rows(
    model: TGDIForRelationExtraction, names: Sequence[str], train: Dataset, checkpoint: str | Path
) -> Dataset:
    r"""
    The training rows that the entity-order prior is estimated from, with the model's label ids.

    Args:
        model: The model.
        names: Its relations in the order of their ids.
        train: The training rows, as listed in the corpus.
        checkpoint: Names the model in errors.

    Raises:
        ValueError: The model was not trained on both orders, or the data has a relation that is not a label of
            the model.
    """
    if not model.config.direction_balanced:
        raise ValueError(
            f"The model in {checkpoint} was not trained on both orders (`tgdi train --both-orders`). It has learned "
            "the prior of the listed order itself; applied on top, the prior would count twice."
        )
    return with_label_ids(train, names, checkpoint)

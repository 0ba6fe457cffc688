"""From dataset rows to a batch of the model."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import index
from typing import Any

import torch

from ..modeling.classification_loss import IGNORED
from ..processing.head_and_tail import text_and_spans
from ..processing.invalid_post import InvalidPost
from ..processing.post_containers import as_mapping_hint
from ..processing.post_keys import checked_post, is_missing
from ..processing.post_text import check_ambiguous
from ..processing.processing_tgdi import TGDIProcessor
from .shared_batch import SharedBatch


class TGDICollator:
    r"""
    Runs the processor on the rows of a batch. In a dataloader the work, decoding of images included, happens in the
    loader's workers, and each distinct image of the batch is decoded, and later encoded by the model, once.

    Args:
        processor (`TGDIProcessor`): The model's processor.
        share_images (`bool`, *optional*, defaults to `True`):
            Return each distinct image of the batch once, with an index. Such a batch can't be cut along its first
            dimension, as `nn.DataParallel` and accelerate's `dispatch_batches`, with or without `split_batches`, do:
            they need `False`, which gives every row its images. (Distributed training by one process a device shares
            them.)
        vision_features (`VisionFeatures`, *optional*):
            What the frozen vision encoder makes of the images, instead of the images; rows have to hold paths or
            bytes, as `undecoded` leaves them.
        num_labels (`int`, *optional*):
            Of a multi-label model, whose rows have lists of relation ids as `label`: the width of `labels`.
        ambiguous (`str`, *optional*, defaults to `"error"`):
            What to do about an entity that is given by what it is called, and is in the text more than once: `"error"`,
            or take the `"first"` place. (A row has one label, so it can't be for all of them.)
        truncation (`bool`, *optional*, defaults to `True`):
            Whether a text that is too long is cut around its entities, or refused.

    Raises:
        ValueError: `ambiguous` is none of these.

    Example:

    ```python
    >>> loader = torch.utils.data.DataLoader(dataset["train"], batch_size=16, collate_fn=TGDICollator(processor))
    ```
    """

    def __init__(
        self,
        processor: TGDIProcessor,
        share_images: bool = True,
        vision_features: Callable | None = None,
        num_labels: int | None = None,
        ambiguous: str = "error",
        truncation: bool = True,
    ):
        self.ambiguous = check_ambiguous(ambiguous, ("error", "first"))
        self.processor = processor
        self.share_images = share_images
        self.vision_features = vision_features
        self.num_labels = num_labels
        self.truncation = truncation

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        r"""
        Args:
            rows: Mappings with `text` or `words`; `head` and `tail`, as spans or by what they are called in the text;
                and optionally `image`, `objects`, `caption` and `label` (or `labels`); `where` or `id` names the row in
                messages. `None` and NaN are missing values. Other keys are ignored; one that is probably a misspelling
                of these is named in a warning.

        Returns:
            The processor's tensors, distinct images in `pixel_values`, and `labels` if the rows have them: `(B,)`, or
            with `num_labels` `(B, num_labels)`, 1 for each relation that holds and 0 for the others.

        Raises:
            ValueError: A row that lacks what every row needs, or has a label that is none; or what the processor
                refuses.
        """
        if not rows:
            raise ValueError("Expected the rows of a batch, at least one; got none.")
        for i, row in enumerate(rows):
            if not isinstance(row, Mapping):
                expected = as_mapping_hint(row) or "a mapping with text, head and tail"
                raise InvalidPost(f"Row {i} of the batch is a {type(row).__name__}; expected {expected}.")
        names = [_name(row, i) for i, row in enumerate(rows)]
        rows = [_checked(row, name) for row, name in zip(rows, names)]
        heads, tails = zip(*[_spans(row, name, self.ambiguous) for row, name in zip(rows, names)])
        inputs = self.processor(
            text=[_text(row) for row in rows],
            head=heads,
            tail=tails,
            images=[row.get("image") for row in rows],
            objects=[row.get("objects") for row in rows],
            caption=[row.get("caption") for row in rows],
            share_images=self.share_images,
            row_names=names,
            vision_features=self.vision_features,
            truncation=self.truncation,
            return_tensors="pt",
        )
        # `labels` is the model's argument, and what many data sets call the column for that reason.
        rows = [{**row, "label": row["labels"]} if "labels" in row and "label" not in row else row for row in rows]
        if any("label" in row for row in rows):
            label = _label if self.num_labels is None else partial(_label_set, num_labels=self.num_labels)
            inputs["labels"] = torch.tensor([label(row, name) for row, name in zip(rows, names)])
        return SharedBatch(inputs.data) if self.share_images else inputs


def _name(row: Mapping[str, Any], number: int) -> str:
    if not is_missing(row.get("where")):
        return str(row["where"])
    return f"row {number} of the batch" + ("" if is_missing(row.get("id")) else f" (id {row['id']})")


def _checked(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = checked_post(row, name)
    if all(found.get(key) is None for key in ("text", "words")):
        advice = ""
        if not any(key in found for key in ("head", "tail", "image")):
            advice = (
                " `Trainer` drops the columns that the model's `forward` does not name unless its arguments have "
                "`remove_unused_columns=False`."
            )
        raise InvalidPost(
            f"{name} has neither `text` nor `words`, only {', '.join(found) or 'nothing'}.{advice}", "text"
        )
    return found


def _text(row: Mapping[str, Any]) -> str | Sequence[str]:
    return row["text"] if row.get("words") is None else row["words"]


def _spans(row: Mapping[str, Any], name: str, ambiguous: str) -> tuple[Any, Any]:
    """Head and tail as the processor takes them, which checks plain spans itself."""
    pair = row.get("head"), row.get("tail")
    two_texts = row.get("words") is not None and row.get("text") is not None
    text = row.get("text")
    # Spans of other texts may count something else than characters.
    foreign = row.get("words") is None and isinstance(text, str) and not text.isascii()
    if two_texts or foreign or any(isinstance(entity, str | Mapping) for entity in pair):
        return text_and_spans(row, name, ambiguous)[2]
    return pair


def _label(row: Mapping[str, Any], name: str) -> int:
    label = row.get("label")
    if isinstance(label, Sequence) and not isinstance(label, str):
        raise ValueError(
            f"{name}: `label` is {label!r:.80}, a list; for a multi-label model pass `num_labels` to `TGDICollator` "
            "(`make_trainer` does), for another one the number of one relation."
        )
    try:
        label = None if isinstance(label, bool) else index(label)
    except TypeError:
        label = None
    if label is None or (label < 0 and label != IGNORED):
        advice = "Rows without any label are for prediction."
        if isinstance(row.get("label"), str):
            advice = "Turn names into numbers: `dataset.cast_column('label', datasets.ClassLabel(names=[...]))`."
        raise ValueError(
            f"{name}: `label` is {row.get('label')!r}; expected the number of a relation, 0 or more, or {IGNORED} for "
            f"a row that the loss leaves out. {advice}"
        )
    return label


def _label_set(row: Mapping[str, Any], name: str, num_labels: int) -> list[float]:
    labels = row.get("label")
    try:
        ids = {index(label) for label in labels}
        wrong = [label for label in labels if isinstance(label, bool)] + [i for i in ids if not 0 <= i < num_labels]
    except TypeError:
        ids, wrong = set(), [labels]
    if wrong:
        raise ValueError(
            f"{name}: `label` is {labels!r:.80}; expected a list of relation ids from 0 to {num_labels - 1}, empty "
            "where there is no relation."
        )
    return [float(i in ids) for i in range(num_labels)]

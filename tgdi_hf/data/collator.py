"""Collates dataset rows into a batch for the model."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import index
from typing import Any

import torch
from transformers import BatchFeature

from ..modeling.classification_loss import IGNORED
from ..processing.head_and_tail import text_and_spans
from ..processing.invalid_post import InvalidPost
from ..processing.post_containers import as_mapping_hint
from ..processing.post_keys import checked_post, is_missing
from ..processing.post_text import check_ambiguous
from ..processing.processing_tgdi import TGDIProcessor
from .shared_batch import SharedBatch
from .swapped_images import IMAGE_MATCHES


class TGDICollator:
    r"""
    Runs the processor on the rows of a batch. In a dataloader this work, including the decoding of images, happens in
    the workers. Each distinct image of a batch is decoded, and later encoded by the model, once.

    Args:
        processor (`TGDIProcessor`): The model's processor.
        share_images (`bool`, *optional*, defaults to `True`):
            Return each distinct image of the batch once, with an index. Such a batch cannot be split along its first
            dimension. `nn.DataParallel` and accelerate's `dispatch_batches` and `split_batches` do that and need
            `False`, which returns the images of every row. (Distributed training with one process per device supports
            shared images.)
        vision_features (`VisionFeatures`, *optional*):
            Precomputed features of a frozen vision encoder, returned instead of pixels. Rows must hold the paths or
            bytes of images, see `undecoded`.
        num_labels (`int`, *optional*):
            The number of labels of a multi-label model, whose rows have a list of label ids as `label`.
        ambiguous (`str`, *optional*, defaults to `"error"`):
            How a mention with several occurrences in the text is resolved: `"error"` rejects it, `"first"` takes the
            first occurrence. (`"all"` is not available: a row has one label.)
        truncation (`bool`, *optional*, defaults to `True`):
            Truncate long texts around their entities; `False` rejects them.

    Raises:
        ValueError: `ambiguous` has another value.

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

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> BatchFeature:
        r"""
        Args:
            rows: Mappings with `text` or `words`; `head` and `tail`, as spans or as mentions; and optionally `image`,
                `objects`, `caption`, `label` (or `labels`) and `image_matches`, see `swap_images`. `where` or `id`
                names the row in error messages. `None` and NaN are missing values. Other keys are ignored; a probable
                misspelling of a key is reported in a warning.

        Returns:
            The processor's tensors, with distinct images in `pixel_values`; and `labels` if the rows have them: `(B,)`,
            or with `num_labels` `(B, num_labels)`, 1 for each relation of the row and 0 otherwise. Likewise
            `image_matches`, `(B,)`, which is 1 for rows without the key.

        Raises:
            ValueError: A row lacks text, head or tail, or has an invalid label; or see `TGDIProcessor`.
        """
        if not rows:
            raise ValueError("Expected the rows of a batch, at least one; got none.")
        for i, row in enumerate(rows):
            if not isinstance(row, Mapping):
                expected = as_mapping_hint(row) or "a mapping with text, head and tail"
                raise InvalidPost(f"Row {i} of the batch is a {type(row).__name__}; expected {expected}.")
        names = [_row_name(row, i) for i, row in enumerate(rows)]
        posts = [_checked(row, name) for row, name in zip(rows, names)]
        heads, tails = zip(*[_head_and_tail(post, name, self.ambiguous) for post, name in zip(posts, names)])
        options: dict[str, Any] = {"truncation": self.truncation, "return_tensors": "pt"}
        batch = self.processor(
            text=[post["text"] if post.get("words") is None else post["words"] for post in posts],
            head=heads,
            tail=tails,
            images=[post.get("image") for post in posts],
            objects=[post.get("objects") for post in posts],
            caption=[post.get("caption") for post in posts],
            share_images=self.share_images,
            row_names=names,
            vision_features=self.vision_features,
            **options,
        )
        if any("label" in post or "labels" in post for post in posts):
            read_label = _label_id if self.num_labels is None else partial(_multi_hot, num_labels=self.num_labels)
            batch["labels"] = torch.tensor([read_label(_label(post), name) for post, name in zip(posts, names)])
        if any(IMAGE_MATCHES in row for row in rows):
            matches = [_image_matches(row.get(IMAGE_MATCHES, 1), name) for row, name in zip(rows, names)]
            batch[IMAGE_MATCHES] = torch.tensor(matches)
        return SharedBatch(batch.data) if self.share_images else batch


def _row_name(row: Mapping[str, Any], number: int) -> str:
    if not is_missing(row.get("where")):
        return str(row["where"])
    return f"row {number} of the batch" + ("" if is_missing(row.get("id")) else f" (id {row['id']})")


def _checked(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    post = checked_post(row, name)
    if all(post.get(key) is None for key in ("text", "words")):
        advice = ""
        if not any(key in post for key in ("head", "tail", "image")):
            advice = (
                " `Trainer` drops the columns that are not arguments of the model's `forward` unless its arguments "
                "have `remove_unused_columns=False`."
            )
        raise InvalidPost(
            f"{name} has neither `text` nor `words`, only {', '.join(post) or 'no keys'}.{advice}", "text"
        )
    return post


def _head_and_tail(post: Mapping[str, Any], name: str, ambiguous: str) -> tuple[Any, Any]:
    """Head and tail in the units of the processor, which validates plain spans itself."""
    head, tail = post.get("head"), post.get("tail")
    text = post.get("text")
    has_both_texts = post.get("words") is not None and text is not None
    # Spans in a non-ASCII text may be counted in bytes or UTF-16 code units.
    may_be_miscounted = post.get("words") is None and isinstance(text, str) and not text.isascii()
    if has_both_texts or may_be_miscounted or any(isinstance(entity, str | Mapping) for entity in (head, tail)):
        return text_and_spans(post, name, ambiguous).units
    return head, tail


def _label(post: Mapping[str, Any]) -> Any:
    # `labels` is the model's argument, and therefore a common name of the column.
    return post["label"] if "label" in post else post.get("labels")


def _label_id(label: Any, name: str) -> int:
    if isinstance(label, Sequence) and not isinstance(label, str):
        raise ValueError(
            f"{name}: `label` is {label!r:.80}, a list; for a multi-label model pass `num_labels` to `TGDICollator` "
            "(`make_trainer` does), otherwise the id of one label."
        )
    try:
        label_id = None if isinstance(label, bool) else index(label)
    except TypeError:
        label_id = None
    if label_id is None or (label_id < 0 and label_id != IGNORED):
        advice = "Leave the label out of all rows to predict."
        if isinstance(label, str):
            advice = "Convert names to ids: `dataset.cast_column('label', datasets.ClassLabel(names=[...]))`."
        raise ValueError(
            f"{name}: `label` is {label!r}; expected the id of a label, 0 or more, or {IGNORED} for a row that the "
            f"loss ignores. {advice}"
        )
    return label_id


def _image_matches(value: Any, name: str) -> int:
    if value not in (0, 1):
        raise ValueError(
            f"{name}: `image_matches` is {value!r}; expected 1 if the image belongs to the text, or 0 if it is that of "
            "another post."
        )
    return int(value)


def _multi_hot(label: Any, name: str, num_labels: int) -> list[float]:
    wrong: list[Any]
    try:
        ids = {index(one) for one in label}
        wrong = [one for one in label if isinstance(one, bool)] + [i for i in ids if not 0 <= i < num_labels]
    except TypeError:
        ids, wrong = set(), [label]
    if wrong:
        raise ValueError(
            f"{name}: `label` is {label!r:.80}; expected a list of label ids from 0 to {num_labels - 1}, empty if the "
            "row has no relation."
        )
    return [float(i in ids) for i in range(num_labels)]

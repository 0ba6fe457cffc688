"""The texts of a batch as model inputs: tokens with entity markers, with and without the caption."""

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from transformers.utils import logging

from .entity_markers import HEAD_END, HEAD_START, TAIL_END, TAIL_START, truncate_around_entities
from .invalid_post import InvalidPost
from .text_rows import caption_room, check_caption, mark_entities, pad, with_caption
from .text_tokenizer import TextTokenizer

logger = logging.get_logger(__name__)


class TextRow(NamedTuple):
    """One row of text as the processor receives it; `name` identifies the row in messages."""

    text: Any
    head: Any
    tail: Any
    caption: Any
    name: str


class EncodedTexts(NamedTuple):
    r"""
    Args:
        inputs: The model's text inputs, see `TGDIProcessor.__call__`.
        truncated: For each row, which of its parts were cut: `"text"`, `"caption"`.
    """

    inputs: dict[str, np.ndarray]
    truncated: list[list[str]]


def encode_texts(
    rows: Sequence[TextRow],
    tokenizer: TextTokenizer,
    limit: int,
    length: int | None = None,
    truncation: bool = True,
    use_caption: bool = True,
) -> EncodedTexts:
    r"""
    Args:
        rows: The rows of the batch.
        tokenizer: The tokenizer, with entity markers.
        limit: The longest text with its caption, in tokens.
        length: The length to pad all rows to; by default that of the longest row.
        truncation: Cut a text longer than `limit` around its entities instead of rejecting it.
        use_caption: Append the captions; otherwise they are only checked.

    Raises:
        InvalidPost: A row is invalid, or its text is too long and `truncation` is `False`.
    """
    frame = tokenizer.frame
    marked = [mark_entities(row.text, row.head, row.tail, row.name) for row in rows]
    captions = [check_caption(row.caption, row.name) for row in rows]
    if not use_caption:
        captions = [""] * len(rows)
    # A single tokenizer call for the whole batch.
    encoded = iter(tokenizer([*chain.from_iterable(row.segments for row in marked), *captions]))
    plain: list[list[int]] = []
    truncated: list[list[str]] = [[] for _ in rows]
    for (_, markers), row, cut_parts in zip(marked, rows, truncated):
        ids: list[int] = []
        places = {}
        for marker in markers:
            ids += next(encoded)
            places[marker] = len(ids)
            ids.append(tokenizer.markers[marker])
        ids += next(encoded)
        if len(ids) + frame.single > limit:
            if not truncation:
                raise InvalidPost(
                    f"{row.name}: the text has {len(ids) + frame.single} tokens with its markers, more than the limit "
                    f"of {limit}; shorten it, or allow cutting it around its entities (`truncation=True`).",
                    "text",
                )
            cut_parts.append("text")
            entities = (places[HEAD_START], places[HEAD_END]), (places[TAIL_START], places[TAIL_END])
            ids = truncate_around_entities(ids, entities, limit - frame.single)
            logger.warning_once(
                f"A text is longer than {limit} tokens; the tokens farthest from its entities were cut. This warning "
                "is not repeated for further texts."
            )
        plain.append([*frame.prefix, *ids, *frame.suffix])
    enhanced = []
    for ids, caption, cut_parts in zip(plain, encoded, truncated):
        enhanced.append(with_caption(ids, caption, frame, limit))
        if len(caption) > caption_room(ids, frame, limit):
            cut_parts.append("caption")
    inputs = {
        **pad(plain, tokenizer.padding, length)._asdict(),
        "head_index": np.array([ids.index(tokenizer.markers[HEAD_START]) for ids in plain]),
        "tail_index": np.array([ids.index(tokenizer.markers[TAIL_START]) for ids in plain]),
    }
    if any(len(long) > len(short) for long, short in zip(enhanced, plain)):
        longer = pad(enhanced, tokenizer.padding, length, [len(ids) for ids in plain], frame.second_type)
        inputs.update({f"enhanced_{name}": array for name, array in longer._asdict().items()})
    return EncodedTexts(inputs, truncated)

"""Single rows of text: checking them, cutting them at the entity markers, appending the caption, and padding."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from transformers.utils import logging

from .entity_markers import MarkedText, check_span, cut_at_markers, words_to_text
from .grapheme_clusters import trim
from .invalid_post import InvalidPost
from .text_tokenizer import Frame

logger = logging.get_logger(__name__)


class Padded(NamedTuple):
    """Token ids, attention mask and segment ids of a batch, `(B, L)` each."""

    input_ids: np.ndarray
    attention_mask: np.ndarray
    token_type_ids: np.ndarray


def mark_entities(text: Any, head: Any, tail: Any, where: str) -> MarkedText:
    r"""
    Checks one row and cuts its text at the entity markers.

    Args:
        text: A string, or a list of words.
        head, tail: Spans `[start, end)` in characters, or in words if `text` is a list of words.
        where: Names the row in messages.

    Raises:
        InvalidPost: The text is neither, contains a lone surrogate, or a span is invalid.
    """
    words = None
    if not isinstance(text, str):
        if not isinstance(text, Sequence | np.ndarray) or not all(isinstance(word, str) for word in text):
            raise InvalidPost(f"{where}: `text` is {text!r:.80}; expected a string or a list of words.", "text")
        words = list(text)
    units = text if words is None else words
    head, tail = (check_span(span, units, name, where) for name, span in (("head", head), ("tail", tail)))
    if words is not None:
        text, spans = words_to_text(words, (head, tail))
        head, tail = (trim(text, *span) for span in spans)
    _check_unicode(text, "text", where)
    return cut_at_markers(text, head, tail)


def check_caption(caption: Any, where: str) -> str:
    """The caption of one row; `None` and a caption of white space become an empty string."""
    if caption is None:
        return ""
    if not isinstance(caption, str):
        raise InvalidPost(f"{where}: `caption` is {caption!r:.80}; expected a string or `None`.", "caption")
    _check_unicode(caption, "caption", where)
    return "" if caption.isspace() else caption


def _check_unicode(text: str, name: str, where: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidPost(
            f"{where}: character {error.start} of `{name}` is {text[error.start]!r}, a lone surrogate, which "
            "tokenizers reject. Decode the source as UTF-16, or replace the character.",
            name,
        ) from None


def caption_room(ids: Sequence[int], frame: Frame, limit: int) -> int:
    """The number of caption tokens that fit behind a text, whose `ids` include its special tokens."""
    return max(limit - len(ids) - frame.pair, 0)


def with_caption(ids: list[int], caption: list[int], frame: Frame, limit: int) -> list[int]:
    """T_e: the text T, followed by as many tokens of the caption as fit."""
    room = caption_room(ids, frame, limit)
    if len(caption) > room:
        logger.warning_once(
            f"A text with its caption is longer than {limit} tokens; the end of the caption was cut off. This warning "
            "is not repeated for further captions."
        )
        caption = caption[:room]
    return [*ids, *frame.middle, *caption, *frame.end] if caption else ids


def pad(
    rows: list[list[int]],
    padding: int,
    length: int | None,
    first_lengths: list[int] | None = None,
    second_type: int = 0,
) -> Padded:
    r"""
    Pads rows of token ids on the right.

    Args:
        rows: The token ids of each text.
        padding: The id of the padding token.
        length: The length of all rows; by default that of the longest row.
        first_lengths: For each row, the number of tokens before its second segment; by default there is none.
        second_type: The segment id of the second segment.
    """
    lengths = np.array([len(row) for row in rows])
    longest = lengths.max() if length is None else length
    ids = np.array([row + [padding] * (longest - len(row)) for row in rows])
    positions = np.arange(longest)
    mask = positions < lengths[:, None]
    types = np.zeros_like(ids)
    if first_lengths is not None:
        types[mask & (positions >= np.array(first_lengths)[:, None])] = second_type
    return Padded(ids, mask.astype(np.int64), types)

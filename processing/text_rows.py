"""Rows of text: their length, checking one, cutting it at its entities, appending its caption, padding."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from transformers.utils import logging

from .entity_markers import check_span, cut_at_markers, words_to_text
from .grapheme_clusters import trim
from .invalid_post import InvalidPost
from .text_tokenizer import Frame

logger = logging.get_logger(__name__)

# Tokenizers without a limit of their own report an astronomical one.
DEFAULT_MAX_LENGTH, NO_LIMIT = 512, 10**6


def cut(text: Any, head: Any, tail: Any, where: str) -> tuple[list[str], list[str]]:
    """The segments of one text, or of the words of one, and the markers between them."""
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


def checked_caption(caption: Any, where: str) -> str:
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
            f"{where}: character {error.start} of `{name}` is {text[error.start]!r}, half of a pair of surrogates, "
            "which no tokenizer takes. Decode what it comes from as UTF-16, or replace it.",
            name,
        ) from None


def with_caption(ids: list[int], caption: list[int], frame: Frame, limit: int) -> list[int]:
    """T_e: T followed by as much of the caption as there is room for."""
    room = max(limit - len(ids) - frame.pair, 0)
    if len(caption) > room:
        logger.warning_once(
            f"A text with its caption is longer than {limit} tokens; the end of the caption was cut. This is said "
            "once, and goes for all that follow."
        )
        caption = caption[:room]
    return [*ids, *frame.middle, *caption, *frame.end] if caption else ids


def padded(
    rows: list[list[int]],
    padding: int,
    length: int | None,
    first_lengths: list[int] | None = None,
    second_type: int = 0,
) -> dict[str, np.ndarray]:
    """Ids, mask and segment ids, padded on the right to `length`, or else to the longest row."""
    lengths = np.array([len(row) for row in rows])
    longest = lengths.max() if length is None else length
    ids = np.array([row + [padding] * (longest - len(row)) for row in rows])
    places = np.arange(longest)
    mask = places < lengths[:, None]
    types = np.zeros_like(ids)
    if first_lengths is not None:
        types[mask & (places >= np.array(first_lengths)[:, None])] = second_type
    return {"input_ids": ids, "attention_mask": mask.astype(np.int64), "token_type_ids": types}


def default_limit(tokenizer) -> int:
    """The longest text with caption, in tokens, where nothing else is said."""
    limit = tokenizer.model_max_length
    return limit if limit and limit < NO_LIMIT else DEFAULT_MAX_LENGTH


def positions_of(config) -> int:
    """How many tokens a text encoder has positions for; RoBERTa and its kin count from behind the padding's id."""
    offset = config.pad_token_id + 1 if config.model_type in ("roberta", "xlm-roberta", "camembert") else 0
    return config.max_position_embeddings - offset

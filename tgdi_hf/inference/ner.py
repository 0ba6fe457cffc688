"""The entities of posts without, from a token classifier."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from operator import index
from typing import Any

from ..processing.entity_mentions import PostText
from ..processing.invalid_post import InvalidPost
from ..processing.post_keys import checked_post, is_missing

OUTSIDE = "O"  # the label of what is no entity
# Of consecutive windows over a long text: an entity of up to this share of a window stands whole in one of them.
OVERLAP = 0.25
# Whose positions begin behind the id of the padding.
_OFFSET_POSITIONS = ("roberta", "xlm-roberta", "xlm-roberta-xl", "camembert")


def token_classifier(name_or_path: str, **options: Any) -> Callable:
    r"""
    A token-classification pipeline that puts the pieces of an entity together, and reads texts that are longer than the
    model has positions for in overlapping windows.

    Args:
        name_or_path: A model on the Hub, or a folder.
        options: Of `transformers.pipeline`.

    Raises:
        ValueError: Its tokenizer does not say where in the text tokens stand.
    """
    from transformers import pipeline

    ner = pipeline("token-classification", model=name_or_path, **{"aggregation_strategy": "simple", **options})
    tokenizer, config = ner.tokenizer, ner.model.config
    if not tokenizer.is_fast:
        raise ValueError(
            f"The tokenizer of {name_or_path}, {type(tokenizer).__name__}, does not say where in the text its tokens "
            "stand, so entities can't be found by it. Choose a token-classification model whose tokenizer has a fast "
            "version (tokenizer.json), such as one based on BERT, RoBERTa or DeBERTa."
        )
    positions = getattr(config, "max_position_embeddings", None)
    if positions and config.model_type in _OFFSET_POSITIONS:
        positions -= config.pad_token_id + 1
    # Some models give positions as -1: they have no limit.
    if positions and 0 < positions < tokenizer.model_max_length:
        tokenizer.model_max_length = positions
    if tokenizer.model_max_length < 10**6 and "stride" not in options:
        room = tokenizer.model_max_length - tokenizer.num_special_tokens_to_add()
        return partial(ner, stride=int(OVERLAP * room))
    return ner


def with_entities(
    posts: Iterable[Mapping[str, Any] | InvalidPost], ner: Callable, batch_size: int = 16
) -> Iterator[Mapping[str, Any] | InvalidPost]:
    r"""
    Adds `entities` to posts that have neither these nor head and tail.

    Args:
        posts: As the pipeline takes them.
        ner: A token-classification pipeline with an `aggregation_strategy`, or what is called like one: with a list of
            texts, for a list of entities each, with `start` and `end` in characters and `entity_group`. A part of a
            word stands for the word, and the same span twice is one entity.
        batch_size: Texts a call.

    Yields:
        The posts; where `ner` fails on one, or gives spans that are not in its text, an `InvalidPost` in its place.

    Raises:
        ValueError: `ner` gives single tokens: it has no `aggregation_strategy`.
    """
    numbered = enumerate(posts)
    while batch := list(islice(numbered, batch_size)):
        texts = {i: text for i, post in batch if (text := _text_without_entities(post, i)) is not None}
        found = _found(ner, texts)
        for i, post in batch:
            if i not in found:
                yield post
                continue
            try:
                if isinstance(found[i], Exception):
                    raise InvalidPost(f"{_name(post, i)}: the NER model failed: {found[i]!r:.300}", "text")
                entities = _entities(found[i], texts[i], _name(post, i))
            except InvalidPost as error:
                error.id = None if is_missing(post.get("id")) else post["id"]
                yield error
                continue
            # Spans of a token classifier are characters.
            yield {**post, "words": None, "text": texts[i], "entities": entities}


def _found(ner: Callable, texts: Mapping[int, str]) -> dict[int, Any]:
    """What there is in each text; an error where the model fails on that text alone, too."""
    if not texts:
        return {}
    try:
        found = list(ner(list(texts.values())))
        if len(found) != len(texts):
            raise ValueError(f"expected a list of entities for each of {len(texts)} texts, found {len(found)} lists")
        return dict(zip(texts, found))
    except Exception as error:  # whatever a model that is not ours raises
        if len(texts) == 1:
            return dict.fromkeys(texts, error)
    return {i: found for one, text in texts.items() for i, found in _found(ner, {one: text}).items()}


def _entities(found: Any, text: str, where: str) -> list[dict[str, Any]]:
    if not isinstance(found, list | tuple) or not all(isinstance(one, Mapping) for one in found):
        raise InvalidPost(f"{where}: the NER model gave {found!r:.80}; expected a list of entities.", "text")
    if any("index" in one and "entity_group" not in one for one in found):
        raise ValueError("The NER pipeline gives single tokens; make it with `aggregation_strategy='simple'`.")
    found = [one for one in found if _label(one) != OUTSIDE]
    if len(found) < 2:  # no pair, wherever it stands
        return [{"start": one.get("start"), "end": one.get("end"), "type": _label(one)} for one in found]
    spans: dict[tuple[int, int], tuple[float, str | None]] = {}
    for one in found:
        start, end = _span(one, text, where)
        if start == end:
            continue
        # Windows overlap, and a word may have been cut into pieces.
        if (start, end) not in spans or spans[start, end][0] < one.get("score", 0):
            spans[start, end] = one.get("score", 0), _label(one)
    return [{"start": start, "end": end, "type": label} for (start, end), (_, label) in sorted(spans.items())]


def _label(one: Mapping[str, Any]) -> str | None:
    return next((one[key] for key in ("entity_group", "type", "label", "entity") if one.get(key)), None)


def _span(one: Mapping[str, Any], text: str, where: str) -> tuple[int, int]:
    """Where an entity stands, in whole words; empty if it is a space, which is a token of byte-level vocabularies."""
    try:
        start, end = index(one["start"]), index(one["end"])
    except (KeyError, TypeError):
        raise InvalidPost(
            f"{where}: the NER model found an entity without a place, {dict(one)!r:.120}; expected `start` and `end` "
            "in characters. Tokenizers in plain Python have none: choose a model with a fast one.",
            "text",
        ) from None
    if not 0 <= start <= end <= len(text):
        raise InvalidPost(
            f"{where}: the NER model found an entity at [{start}, {end}), which is no part of the text; expected 0 ≤ "
            f"start < end ≤ {len(text)}, its number of characters.",
            "text",
        )
    while start < end and text[start].isspace():  # these vocabularies hold words with the space before them
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    if start == end:
        return start, end
    while start > 0 and _is_inside_word(text, start):
        start -= 1
    while end < len(text) and _is_inside_word(text, end):
        end += 1
    return start, end


def _is_inside_word(text: str, place: int) -> bool:
    """Whether a word goes on across a place, in scripts with capital letters: they have spaces between words."""
    return all(
        character.isdigit() or character.lower() != character.upper() for character in text[place - 1 : place + 1]
    )


def _text_without_entities(post: Any, number: int) -> str | None:
    if not isinstance(post, Mapping):
        return None
    try:
        post = checked_post(post, _name(post, number), need_entities=False)
        if any(post.get(name) is not None for name in ("head", "tail", "entities")):
            return None
        return PostText(post, "post").text
    except InvalidPost:  # the pipeline will say so
        return None


def _name(post: Mapping[str, Any], number: int) -> str:
    return f"post {number}" if is_missing(post.get("where")) else str(post["where"])

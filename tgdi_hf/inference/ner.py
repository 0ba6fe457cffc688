"""Entities from a token classifier, for posts that come without entities."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from operator import index
from typing import Any

from ..processing.invalid_post import InvalidPost
from ..processing.post_keys import checked_post, is_missing
from ..processing.post_text import PostText

OUTSIDE = "O"  # label of tokens outside entities
# Share of a window that the next window over a long text repeats: any entity up to this length is whole in one of them.
OVERLAP = 0.25
# Models whose position ids start after the padding id.
_OFFSET_POSITIONS = ("roberta", "xlm-roberta", "xlm-roberta-xl", "camembert")


def token_classifier(name_or_path: str, **options: Any) -> Callable:
    r"""
    A token-classification pipeline that merges the tokens of an entity, and reads texts beyond the model's maximum
    length in overlapping windows.

    Args:
        name_or_path: A model on the Hub, or a folder.
        options: Arguments of `transformers.pipeline`.

    Raises:
        ValueError: The model's tokenizer has no character offsets.
    """
    from transformers import pipeline

    ner = pipeline("token-classification", model=name_or_path, **{"aggregation_strategy": "simple", **options})
    tokenizer, config = ner.tokenizer, ner.model.config
    if tokenizer is None or not tokenizer.is_fast:
        raise ValueError(
            f"The tokenizer of {name_or_path}, {type(tokenizer).__name__}, has no character offsets, so entities "
            "cannot be located in the text. Use a token-classification model with a fast tokenizer (tokenizer.json), "
            "such as one based on BERT, RoBERTa or DeBERTa."
        )
    positions = getattr(config, "max_position_embeddings", None)
    if positions and config.model_type in _OFFSET_POSITIONS:
        positions -= config.pad_token_id + 1
    # -1 stands for no limit.
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
    Adds `entities` to posts that have neither entities nor head and tail.

    Args:
        posts: Posts in the pipeline's input format.
        ner: A token-classification pipeline with an `aggregation_strategy`, or any callable with its interface: from a
            list of texts to one list of entities per text, each with `start` and `end` in characters and
            `entity_group`. Spans are extended to whole words, and duplicates are merged.
        batch_size: Texts per call of `ner`.

    Yields:
        The posts. A post on which `ner` fails, or for which it returns spans outside the text, is replaced by an
        `InvalidPost`.

    Raises:
        ValueError: `ner` returns single tokens, since it has no `aggregation_strategy`.
    """
    numbered = enumerate(posts)
    while batch := list(islice(numbered, batch_size)):
        texts = {i: text for i, post in batch if (text := _text_without_entities(post, i)) is not None}
        outputs = _outputs(ner, texts)
        for i, post in batch:
            if i not in outputs:
                yield post
                continue
            assert isinstance(post, Mapping)  # an invalid post has no text
            try:
                if isinstance(outputs[i], Exception):
                    raise InvalidPost(f"{_name(post, i)}: the NER model failed: {outputs[i]!r:.300}", "text")
                entities = _entities(outputs[i], texts[i], _name(post, i))
            except InvalidPost as error:
                error.id = None if is_missing(post.get("id")) else post["id"]
                yield error
                continue
            # A token classifier counts characters of the text, not words.
            yield {**post, "words": None, "text": texts[i], "entities": entities}


def _outputs(ner: Callable, texts: Mapping[int, str]) -> dict[int, Any]:
    """The model's output for each text; if a batch fails, its texts are tried one by one, and errors are kept."""
    if not texts:
        return {}
    try:
        outputs = list(ner(list(texts.values())))
        if len(outputs) != len(texts):
            raise ValueError(f"expected a list of entities for each of {len(texts)} texts, found {len(outputs)} lists")
        return dict(zip(texts, outputs))
    except Exception as error:  # any error of a third-party model
        if len(texts) == 1:
            return dict.fromkeys(texts, error)
    return {i: output for number, text in texts.items() for i, output in _outputs(ner, {number: text}).items()}


def _entities(output: Any, text: str, where: str) -> list[dict[str, Any]]:
    if not isinstance(output, list | tuple) or not all(isinstance(entity, Mapping) for entity in output):
        raise InvalidPost(f"{where}: the NER model returned {output!r:.80}; expected a list of entities.", "text")
    if any("index" in entity and "entity_group" not in entity for entity in output):
        raise ValueError("The NER pipeline returns single tokens; create it with `aggregation_strategy='simple'`.")
    entities = [entity for entity in output if _label(entity) != OUTSIDE]
    if len(entities) < 2:  # no entity pair, so offsets do not matter
        return [{"start": one.get("start"), "end": one.get("end"), "type": _label(one)} for one in entities]
    spans: dict[tuple[int, int], tuple[float, str | None]] = {}
    for entity in entities:
        start, end = _span(entity, text, where)
        if start == end:
            continue
        # Overlapping windows and sub-word entities yield the same span more than once: the highest score wins.
        score = entity.get("score", 0)
        if (start, end) not in spans or spans[start, end][0] < score:
            spans[start, end] = score, _label(entity)
    return [{"start": start, "end": end, "type": label} for (start, end), (_, label) in sorted(spans.items())]


def _label(entity: Mapping[str, Any]) -> str | None:
    return next((entity[key] for key in ("entity_group", "type", "label", "entity") if entity.get(key)), None)


def _span(entity: Mapping[str, Any], text: str, where: str) -> tuple[int, int]:
    """The span of an entity, extended to whole words; empty for a space, a token of byte-level vocabularies."""
    try:
        start, end = index(entity["start"]), index(entity["end"])
    except (KeyError, TypeError):
        raise InvalidPost(
            f"{where}: the NER model returned an entity without offsets, {dict(entity)!r:.120}; expected `start` and "
            "`end` in characters. Slow tokenizers have no offsets: use a model with a fast tokenizer.",
            "text",
        ) from None
    if not 0 <= start <= end <= len(text):
        raise InvalidPost(
            f"{where}: the NER model returned the span [{start}, {end}), which is outside the text; expected 0 ≤ start "
            f"< end ≤ {len(text)}, the number of characters.",
            "text",
        )
    while start < end and text[start].isspace():  # byte-level tokens include the space before a word
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


def _is_inside_word(text: str, offset: int) -> bool:
    """Whether a word continues across an offset; only in scripts with letter case, which separate words by spaces."""
    return all(
        character.isdigit() or character.lower() != character.upper() for character in text[offset - 1 : offset + 1]
    )


def _text_without_entities(post: Any, number: int) -> str | None:
    if not isinstance(post, Mapping):
        return None
    try:
        post = checked_post(post, _name(post, number), need_entities=False)
        if any(post.get(name) is not None for name in ("head", "tail", "entities")):
            return None
        return PostText(post, "post").text
    except InvalidPost:  # left to the pipeline to report
        return None


def _name(post: Mapping[str, Any], number: int) -> str:
    return f"post {number}" if is_missing(post.get("where")) else str(post["where"])

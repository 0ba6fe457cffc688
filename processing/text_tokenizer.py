"""Tokenizing posts as ordinary text, whatever special tokens they contain literally."""

import json
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from .entity_markers import ENTITY_MARKERS


@dataclass(frozen=True)
class Frame:
    """The special tokens around one text, `prefix A suffix`, and around a pair, `prefix A suffix middle B end`."""

    prefix: list[int]
    suffix: list[int]
    middle: list[int]
    end: list[int]
    second_type: int  # segment id of `middle B end`

    @property
    def single(self) -> int:
        """The number of special tokens around one text."""
        return len(self.prefix) + len(self.suffix)

    @property
    def pair(self) -> int:
        """The number of special tokens that a second text adds."""
        return len(self.middle) + len(self.end)


class TextTokenizer:
    r"""
    Tokenizes strings without recognizing special tokens: a literal "</s>" or "<head>" becomes ordinary tokens.
    Everything else, including added tokens that are not special, is tokenized as by the given tokenizer.

    It works on a copy, so that the state of the given tokenizer never changes and threads can share it.

    Args:
        tokenizer: A tokenizer with the entity markers.
    """

    def __init__(self, tokenizer: Any):
        self.source, self.size = tokenizer, len(tokenizer)
        self.markers = {marker: tokenizer.convert_tokens_to_ids(marker) for marker in ENTITY_MARKERS}
        self.padding = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
        self._unknown = tokenizer.unk_token_id
        self._special = set(tokenizer.all_special_ids) - {self._unknown}
        self._backend = _without_special_tokens(tokenizer.backend_tokenizer) if tokenizer.is_fast else None
        self.frame = self._find_frame()

    def __call__(self, strings: list[str]) -> list[list[int]]:
        if self._backend is not None:
            return [encoding.ids for encoding in self._backend.encode_batch_fast(strings, add_special_tokens=False)]
        return [self._tokenize_in_python(string) for string in strings]

    def offsets(self, strings: list[str]) -> list[list[tuple[int, int]]]:
        """`[start, end)` of each token in characters of its string, in the order of the ids; fast tokenizers only."""
        if self._backend is None:
            raise ValueError(
                f"{type(self.source).__name__} is a tokenizer in plain Python, which does not know the places of its "
                "tokens; use a fast tokenizer."
            )
        return [encoding.offsets for encoding in self._backend.encode_batch(strings, add_special_tokens=False)]

    def __deepcopy__(self, memo):
        # Instances are immutable; saving a processor copies its attributes, and vocabularies are large.
        return self

    def is_for(self, tokenizer: Any) -> bool:
        """Whether this instance was built from `tokenizer` in its current state; tokens may have been added since."""
        return self.source is tokenizer and self.size == len(tokenizer)

    def _tokenize_in_python(self, string: str) -> list[int]:
        ids = self.source.convert_tokens_to_ids(self.source.tokenize(string, split_special_tokens=True))
        # Tokenizers in plain Python cannot ignore the special tokens of their vocabulary; these become unknown words.
        ids = [self._unknown if i in self._special else i for i in ids]
        return [i for i in ids if i is not None]

    def _find_frame(self) -> Frame:
        name = type(self.source).__name__
        if self._backend is not None:
            pair = self._backend.encode("a", "a")
            ids, types, owners = pair.ids, pair.type_ids, pair.sequence_ids
            single = self._backend.encode("a").ids
        else:
            ids = self.source.build_inputs_with_special_tokens([-1], [-2])
            types = self.source.create_token_type_ids_from_sequences([-1], [-2])
            owners = [{-1: 0, -2: 1}.get(i) for i in ids]
            single = self.source.build_inputs_with_special_tokens([-1])
        if 0 not in owners or 1 not in owners:
            raise ValueError(
                f"{name} produces no tokens for the letter “a”, so TGDI cannot determine how it joins two texts."
            )
        first, second = owners.index(0), owners.index(1)
        first_end, second_end = first + owners.count(0), second + owners.count(1)
        if ids[: len(single)] != single or len(single) > second:
            raise ValueError(
                f"{name} encodes one text as {single} and a pair of texts as {ids}; expected a tokenizer that encodes "
                "the first text with the same special tokens in both, such as BERT's or RoBERTa's."
            )
        # Models without segments embed only one segment id, whatever the template of their tokenizer contains.
        second_type = types[second] if "token_type_ids" in self.source.model_input_names else 0
        return Frame(ids[:first], single[first_end:], ids[len(single) : second], ids[second_end:], second_type)


def _without_special_tokens(backend: Any) -> Any:
    r"""
    Copies a `tokenizers.Tokenizer` so that it recognizes no special token in any text.

    `encode_special_tokens` of the library only disables the search for them, not their entries in the vocabulary:
    Unigram models have "<s>" among their pieces, with the highest score. Therefore special tokens keep their ids and
    are renamed to strings that no text contains.
    """
    state = json.loads(backend.to_str())
    special = [token["content"] for token in state["added_tokens"] if token["special"]]
    names = {token: f"{token}{uuid4().hex}" for token in special}
    for token in state["added_tokens"]:
        token["content"] = names.get(token["content"], token["content"])
    model = state["model"]
    if isinstance(model["vocab"], dict):
        model["vocab"] = {names.get(piece, piece): number for piece, number in model["vocab"].items()}
    else:  # Unigram
        model["vocab"] = [[names.get(piece, piece), score] for piece, score in model["vocab"]]
    if model.get("unk_token") in names:
        model["unk_token"] = names[model["unk_token"]]
    if model.get("merges"):  # "a b" or ["a", "b"]
        model["merges"] = [
            merge
            for merge in model["merges"]
            if (merge.replace(" ", "", 1) if isinstance(merge, str) else "".join(merge)) not in names
        ]
    state["truncation"] = state["padding"] = None
    return type(backend).from_str(json.dumps(state))


def check_markers(tokenizer) -> None:
    """Raises `ValueError` if a saved tokenizer lacks the entity markers."""
    unknown = (None, tokenizer.unk_token_id)
    missing = [marker for marker in ENTITY_MARKERS if tokenizer.convert_tokens_to_ids(marker) in unknown]
    if missing:
        raise ValueError(
            f"The tokenizer saved in {tokenizer.name_or_path} lacks the entity markers {', '.join(missing)}, so "
            "the model beside it has no embeddings for them. For a new model build the processor anew, with "
            "`TGDIProcessor.from_text_vision_pretrained`, and pass its tokenizer to the model's method of that "
            "name."
        )

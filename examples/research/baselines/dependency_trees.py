"""Dependency trees of posts: of a spaCy pipeline or, without one, a chain of the words."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from tgdi_hf.extras import require

CHAIN = "chain"

Spans = tuple[tuple[int, int], ...]


class DependencyTree(NamedTuple):
    r"""
    Args:
        spans: `[start, end)` of each word in characters of the text.
        heads: For each word the number of its head; its own for a root.
    """

    spans: Spans
    heads: tuple[int, ...]


def chain_tree(text: str, spans: Spans | None = None) -> DependencyTree:
    """Each word depends on the one before it. Without `spans`, words are what white space separates."""
    if spans is None:
        spans = tuple(match.span() for match in re.finditer(r"\S+", text))
    return DependencyTree(spans, tuple(max(i - 1, 0) for i in range(len(spans))))


@lru_cache(maxsize=4)
def tree_parser(name: str) -> Callable[[str, Spans | None], DependencyTree]:
    r"""
    Args:
        name: `"chain"`, or a spaCy pipeline with a parser such as `"en_core_web_sm"`.

    Raises:
        ImportError: spaCy is not installed.
        ValueError: The pipeline is not installed or has no parser.
    """
    if name == CHAIN:
        return chain_tree
    require("spacy", "spacy", f"`trees={name!r}`")
    import spacy

    advice = f"Install one with `python -m spacy download en_core_web_sm`, or take `trees={CHAIN!r}` and say so."
    try:
        nlp = spacy.load(name)
    except OSError as error:
        raise ValueError(f"`trees` is {name!r}, but spaCy cannot load that pipeline ({error}). {advice}") from None
    if "parser" not in nlp.pipe_names:
        raise ValueError(f"The spaCy pipeline {name!r} has no parser, only {nlp.pipe_names}. {advice}")

    def parse(text: str, spans: Spans | None = None) -> DependencyTree:
        document = text
        if spans is not None:
            words = [text[start:end] for start, end in spans]
            document = spacy.tokens.Doc(nlp.vocab, words=words)
        parsed = nlp(document)
        if spans is None:
            spans = tuple((token.idx, token.idx + len(token)) for token in parsed)
        return DependencyTree(spans, tuple(token.head.i for token in parsed))

    return parse


@lru_cache(maxsize=65536)
def tree_of(name: str, text: str, spans: Spans | None = None) -> DependencyTree:
    r"""
    The dependency tree of a post, parsed once per text and process.

    Args:
        name: See `tree_parser`.
        text: The post.
        spans: The spans of its words, if it is given as words; by default the parser finds them.
    """
    return tree_parser(name)(text, spans)

"""Queries for the object detector: phrases from the text of a post."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

# Queried for every image.
TYPE_WORDS = ("person", "organization", "location")
MOST_PHRASES, MOST_WORDS, MOST_ENTITY_WORDS = 8, 4, 8

_SKIPPED = re.compile(r"https?://\S+|www\.\S+|@\w+|&\w+;|\bRT\b")
_WORD = re.compile(r"[^\W\d_][\w'’-]*")
# English words that end a noun phrase: function words, auxiliaries and the commonest verbs.
_CUTS = """
a about above after again against all also am among an and any are aren't around as ask at away back be became
because been before being below between both but by came can can't cannot come could couldn't did didn't do does
doesn't doing don't done down during each either else even ever every few find for from further gave get gets give
go goes going gone gonna got gotta had hadn't has hasn't have haven't having he he's her here here's hers him his
how how's i i'd i'll i'm i've if im in into is isn't it it's its itself just know knows let let's like likes ll look
looking looks love loved loves made make makes making many may me meet meets might mine more most much must my need
needs never no nor not now of off oh ok on once one only onto or other our ours out over own please put re really
right rt said same saw say says see seen sees she she's should shouldn't since so some still such take takes tell
than thank thanks that that's the their theirs them then there there's these they they'll they're they've think this
those though through to today together told tomorrow tonight too took under until up upon us ve very via want wants
was wasn't watch watching we we'd we'll we're we've well went were weren't what what's when when's where where's
whether which while who who's whom whose why will with without won't would wouldn't yeah yes yesterday yet you you'd
you'll you're you've your yours
"""
_NOT_IN_PHRASES = frozenset(_CUTS.split())


def noun_phrases(text: str, nlp: Callable[[str], Any] | None = None) -> list[str]:
    r"""
    Extracts the phrases of a text that may name visible objects.

    With a spaCy pipeline these are its noun chunks, without determiners and pronouns. The rule without one: remove
    links, @names, `RT` and HTML entities; split at punctuation, single letters, function words, auxiliaries and the
    most frequent verbs of English; keep the last four words of each part, which contain the head of a noun phrase.

    Args:
        text (`str`): A post.
        nlp (*optional*): A spaCy pipeline with a parser, such as `spacy.load("en_core_web_sm")`.

    Returns:
        `list[str]`: At most eight distinct phrases, in text order.
    """
    text = _SKIPPED.sub(" . ", text)
    chunks: Iterable[list[str]]
    if nlp is not None:
        chunks = (
            [token.text for token in chunk if token.pos_ not in ("DET", "PRON") and token.is_alpha]
            for chunk in nlp(text).noun_chunks
        )
    else:
        chunks = _runs(text)
    return distinct(" ".join(words[-MOST_WORDS:]) for words in chunks if words)[:MOST_PHRASES]


def _runs(text: str) -> Iterable[list[str]]:
    words: list[str] = []
    end = 0
    for match in _WORD.finditer(text):
        word = match.group().strip("'’-")
        cuts = len(word) < 2 or word.lower().replace("’", "'") in _NOT_IN_PHRASES
        if cuts or text[end : match.start()].strip(" "):
            yield words
            words = []
        if not cuts:
            words.append(word)
        end = match.end()
    yield words


def queries_for(text: str, entities: Sequence[tuple[int, int]], nlp: Callable[[str], Any] | None = None) -> list[str]:
    r"""
    Lists the queries for the image of a post: its entities in text order, whichever is head or tail, its noun phrases,
    and the same type words for every post. They do not depend on the relation label.

    Args:
        text (`str`): The post.
        entities: The spans `[start, end)` of its entities in characters.
        nlp (*optional*): See `noun_phrases`.

    Returns:
        `list[str]`: Distinct phrases in lower case, without full stops, by which detectors separate phrases.
    """
    mentions = [" ".join(text[start:end].split()[:MOST_ENTITY_WORDS]) for start, end in sorted(map(tuple, entities))]
    return distinct(phrase.lower() for phrase in (*mentions, *noun_phrases(text, nlp), *TYPE_WORDS))


def distinct(phrases: Iterable[str]) -> list[str]:
    """The distinct phrases regardless of case, spelled as at their first occurrence, without full stops."""
    kept: dict[str, str] = {}
    for phrase in phrases:
        phrase = " ".join(phrase.replace(".", " ").split())
        if phrase:
            kept.setdefault(phrase.lower(), phrase)
    return list(kept.values())

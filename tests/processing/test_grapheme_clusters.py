import random

import pytest
import regex

from tgdi_hf.processing.grapheme_clusters import characters, is_boundary, is_visible, trim, whole_span

FAMILY, FLAGS, THUMB, HEART, KEYCAP = "👩\u200d👩\u200d👧", "🇫🇷🇩🇪", "👍🏽", "❤\ufe0f", "1\ufe0f\u20e3"


@pytest.mark.parametrize(
    ("text", "boundaries"),
    [
        ("ab", [0, 1, 2]),
        ("Jose\u0301 x", [0, 1, 2, 3, 5, 6, 7]),
        ("e\u0323\u0302n", [0, 3, 4]),  # Vietnamese ệ, decomposed
        (FAMILY, [0, 5]),
        (FLAGS, [0, 2, 4]),
        (THUMB + THUMB, [0, 2, 4]),
        (HEART, [0, 2]),
        (KEYCAP, [0, 3]),
        ("🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f!", [0, 7, 8]),  # England
        ("क्षत्रिय", [0, 3, 7, 8]),
        ("മന\u0d4d\u200d", [0, 1, 4]),  # the old spelling of a chillu requires the joiner
        ("မြန်မာ", [0, 2, 4, 6]),
        ("مُحَمَّد", [0, 2, 4, 7, 8]),
        ("กำลัง", [0, 2, 4, 5]),
        ("각\u1100\u1161\u11a8", [0, 1, 4]),
        ("か\u3099き", [0, 2, 3]),
        ("葛\U000e0100城", [0, 2, 3]),  # a variant of the ideograph, as in Japanese names
        ("a\r\nb", [0, 1, 2, 3, 4]),
        ("a\u200bb", [0, 1, 2, 3]),
        # Dangling joiners are not part of the preceding word.
        ("Acme\u200d x", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("کتاب\u200cها", [0, 1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_boundaries_of_grapheme_clusters(text, boundaries):
    assert [place for place in range(len(text) + 1) if is_boundary(text, place)] == boundaries


def test_single_boundaries_agree_with_those_of_the_whole_text():
    """The local decision equals that of a scan from the beginning of the text."""
    chance = random.Random(0)
    alphabet = [
        *"ab \n\u0301\u200d\u200c\ufe0f👩👧🏽🇫🇷क\u094dष한\u1100\u1161\u11a8กำع\u064e\u0600©❤1\u20e3習",
        "\U000e0100",
    ]
    for number in range(2000):
        text = "".join(chance.choices(alphabet, k=chance.randint(1, 12 if number % 10 else 150)))
        expected = {0} | {end for _, end in characters(text)}
        assert {place for place in range(len(text) + 1) if is_boundary(text, place)} == expected, ascii(text)
        # Except for dangling joiners, these are Unicode's extended grapheme clusters.
        clusters = {0} | {match.end() for match in regex.finditer(r"\X", text)}
        assert all(text[place] in "\u200c\u200d\ufe0f\U000e0100" for place in expected - clusters)


@pytest.mark.parametrize(
    ("text", "span", "whole"),
    [
        ("Jose\u0301 x", (0, 4), (0, 5)),
        (f"a {FAMILY} b", (3, 4), (2, 7)),
        (FLAGS, (1, 3), (0, 4)),
        ("abc", (1, 2), (1, 2)),
    ],
)
def test_spans_are_extended_to_whole_clusters(text, span, whole):
    assert whole_span(text, *span) == whole


NOTHING = [
    *("", "  ", "\n", "\t\r\n", "\xa0", "\u3000", "\u2028", "\u200b\u200c\u200d\ufeff", "\ufffc", "\ufe0f", "\ufe0e"),
    *("\u200e\u200f\u202a\u202c\u2066\u2069", "\u00ad", "\u2060", "\u3164", "\u115f", "\u2800", "\u180e", "\x00"),
    *("\u0301", "\U000e0100", "\U000e0067", " \u0301", "\u034f", "\ufff9"),
]


@pytest.mark.parametrize("text", NOTHING, ids=ascii)
def test_invisible_characters(text):
    assert not is_visible(text)
    start, end = trim(f"a{text}b", 1, 1 + len(text))
    assert start == end


@pytest.mark.parametrize("text", ["a", ".", "#", "🎉", FAMILY, HEART, "€", "\u0600", "\ufffd", "ะ", "々", "\ue000"])
def test_visible_characters(text):
    assert is_visible(text)
    assert trim(text) == (0, len(text))


@pytest.mark.parametrize(
    "around", [" ", "\n", "\xa0", "\u200b", "\ufeff", "\u2060", "\u200e", "\u200d", "\ufffc", " \u200b\t"]
)
@pytest.mark.parametrize("entity", ["Acme", "Barack Obama", "José", "Jose\u0301", "محمد", "李克强", "@acme", "C++"])
def test_invisible_characters_around_an_entity_are_trimmed(entity, around):
    text = around + entity + around
    assert text[slice(*trim(text))] == entity
    assert text[slice(*trim(text, len(around)))] == entity


@pytest.mark.parametrize("entity", [HEART, FAMILY, KEYCAP, "ന\u0d4d\u200d", "葛\U000e0100"])
def test_clusters_of_an_entity_are_not_trimmed(entity):
    text = f" {entity} "
    assert text[slice(*trim(text))] == entity

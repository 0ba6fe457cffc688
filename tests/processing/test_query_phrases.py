import pytest
from hypothesis import given
from hypothesis import strategies as st

from tgdi_hf.processing.query_phrases import TYPE_WORDS, distinct, noun_phrases, queries_for


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ("JFK and Obama at Harvard", ["JFK", "Obama", "Harvard"]),
        ("RT @Reuters : BMW recalls 324,000 cars in Europe https://t.co/x", ["BMW recalls", "cars", "Europe"]),
        ("Tomorrow 's front page ... #Brexit &amp; co", ["front page", "Brexit", "co"]),
        ("The latest Arkham Horror LCG deluxe expansion", ["Horror LCG deluxe expansion"]),
        ("Zürich café with Zürich friends , cafe", ["Zürich café", "Zürich friends", "cafe"]),
        ("I don't know what it's", []),
        ("", []),
    ],
)
def test_phrases_without_spacy(text, phrases):
    assert noun_phrases(text) == phrases


def test_noun_chunks_of_spacy_are_used_where_it_is():
    spacy = pytest.importorskip("spacy")
    tokens = spacy.tokens

    def nlp(text):  # a parse by hand: pipelines with a parser have to be downloaded
        words = text.split()
        assert words == ["The", "old", "mayor", "greeted", "her", "proud", "parents"]
        vocab = spacy.blank("en").vocab
        return tokens.Doc(
            vocab,
            words=words,
            pos=["DET", "ADJ", "NOUN", "VERB", "PRON", "ADJ", "NOUN"],
            heads=[2, 2, 3, 3, 6, 6, 3],
            deps=["det", "amod", "nsubj", "ROOT", "poss", "amod", "dobj"],
        )

    assert noun_phrases("The old mayor greeted her proud parents", nlp) == ["old mayor", "proud parents"]


def test_queries_are_the_entities_the_phrases_and_the_types():
    text = "JFK and Obama at Harvard"
    assert queries_for(text, [(17, 24), (0, 3)]) == ["jfk", "harvard", "obama", *TYPE_WORDS]
    # Which of the two is the head makes no difference: the order of the pair tells of its label in MNRE.
    assert queries_for(text, [(0, 3), (17, 24)]) == queries_for(text, [(17, 24), (0, 3)])
    assert queries_for("U.S. Senate", [(0, 4), (5, 11)]) == ["u s", "senate", *TYPE_WORDS]


@given(st.text(max_size=80))
def test_whatever_the_text_phrases_are_short_few_and_of_its_words(text):
    phrases = noun_phrases(text)
    assert len(phrases) <= 8
    assert phrases == distinct(phrases)
    assert all(1 <= len(phrase.split()) <= 4 and "." not in phrase for phrase in phrases)
    assert all(word in text for phrase in phrases for word in phrase.split())

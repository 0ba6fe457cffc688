import pytest

from tgdi_hf.processing.aligned_words import AlignedWords


@pytest.mark.parametrize(
    ("text", "words", "part", "joined_part"),
    [
        ("Ann meets Bob", ["Ann", "meets", "Bob"], "meets", "meets"),
        ("Ann, meets Bob!", ["Ann", ",", "meets", "Bob", "!"], "Ann,", "Ann ,"),
        ("don't", ["do", "n't"], "don't", "do n't"),
        ("José 🎉Obama", ["Jose\u0301", "🎉", "Obama"], "🎉Obama", "🎉 Obama"),
        ("say “Hi” Ann", ["say", "``", "Hi", "''", "Ann"], "Ann", "Ann"),  # different quotation marks, same letters
        ("习近平访问", ["习近平", "访问"], "习近平", "习近平"),
    ],
)
def test_spans_of_a_text_are_mapped_to_its_words(text, words, part, joined_part):
    joined = " ".join(words)
    start = text.index(part)
    assert joined[slice(*AlignedWords(text, joined)(start, start + len(part)))] == joined_part


def test_a_span_of_differing_punctuation_maps_to_none():
    assert AlignedWords("say “Hi”", "say `` Hi ''")(4, 5) is None


@pytest.mark.parametrize(("text", "joined"), [("Ann", "Bob"), ("Ann", "Ann Bob"), ("🎉", "🎊"), ("Ann 1", "Ann 2")])
def test_words_of_another_text_are_rejected(text, joined):
    with pytest.raises(ValueError):
        AlignedWords(text, joined)

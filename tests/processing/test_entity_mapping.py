import pytest

from tgdi_hf import InvalidPost
from tgdi_hf.processing.entity_mapping import read_mapping


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        ({"start": 0, "end": 3}, ((0, 3), None, None)),
        ({"text": "Ann"}, (None, "Ann", None)),
        ({"start": 0, "end": 3, "word": "ann", "entity_group": "PER", "score": 0.9}, ((0, 3), "ann", "PER")),
        ({"name": "Ann", "pos": [0, 1]}, ([0, 1], "Ann", None)),
        ({"span": (0, 3), "mention": "Ann", "id": 7, "kb_id": "Q1", "confidence": 1}, ((0, 3), "Ann", None)),
        ({"start": 0, "end": 3, "text": "Ann", "word": "ann"}, ((0, 3), "Ann", None)),
        ({"start": 0, "end": 3, "text": "", "type": None, "label": float("nan")}, ((0, 3), None, None)),
        ({"start": 0, "end": 3, "index": 4, "entity": "B-PER", "word": "##ann"}, ((0, 3), "##ann", "B-PER")),
    ],
)
def test_mappings_are_parsed(mapping, expected):
    assert read_mapping(mapping, "head", "post 0") == expected


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"text": "Ann", "begin": 13, "end": 16}, "the key 'begin' is unknown. Did you mean `start`"),
        ({"text": "Ann", "strat": 13, "end": 16}, "the key 'strat' is unknown. Did you mean `start`"),
        ({"text": "Ann", "start": 13, "stop": 16}, "the key 'stop' is unknown. Did you mean `end`"),
        ({"text": "Ann", "start_char": 13, "end_char": 16}, "Did you mean `(start|end)`"),
        ({"text": "Ann", "offset": 13, "length": 3}, "Did you mean `(start|end)`"),
        ({"text": "Ann", "offsets": [13, 16]}, "the key 'offsets' is unknown. Did you mean `span`"),
        ({"start": 0, "end": 3, "surface": "Ann"}, "the key 'surface' is unknown. Did you mean `text`"),
        ({"start": 0, "end": 3, "txet": "Ann"}, "the key 'txet' is unknown. Did you mean `text`"),
        ({"word": "Ann", "tpye": "PER"}, "the key 'tpye' is unknown. Did you mean `type`"),
        ({"text": "Ann", "start": 3}, "found only one of them"),
        ({"text": "Ann", "word": "Bob"}, "its mentions 'Ann' and 'Bob' differ"),
        ({"start": 0, "end": 3, "span": [4, 7]}, r"its spans \[0, 3\] and \[4, 7\] differ"),
        ({"start": 0, "end": 3, "text": 5}, "the mention is 5, expected a string"),
        ({"text": "Ann", "type": 3}, "the type of `head` is 3"),
        ({"type": "PER"}, "expected `start` and `end`, or `text`"),
        ({}, "expected `start` and `end`, or `text`"),
    ],
)
def test_ambiguous_and_misspelled_mappings_are_rejected(mapping, message):
    with pytest.raises(InvalidPost, match=f"^post 0: .*{message}"):
        read_mapping(mapping, "head", "post 0")

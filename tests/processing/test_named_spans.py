import pytest

from tgdi_hf import InvalidPost
from tgdi_hf.processing.named_spans import agrees, recount
from tgdi_hf.processing.post_text import PostText


@pytest.mark.parametrize(
    ("span_text", "mention"),
    [
        ("Obama", "Obama"),
        ("Obama", "obama"),
        ("José Obama", "jose obama"),
        ("Jose\u0301", "José"),
        (" Acme ", "Acme"),
        ("A&M", "a & m"),
        ("Harvard", "har ##vard"),
        ("vard", "##vard"),
        ("New York", "▁New▁York"),
        ("York", "ĠYork"),
        ("Harvard", "Har@@ vard"),
        ("北京", "北 京"),
        ("दिल्ली", "दलल"),  # BERT's uncased tokenizer drops vowel signs
        ("Obama 🎉", "obama [UNK]"),
        ("🎉", "<unk>"),
        ("🎉", "🎉"),
        ("Straße", "STRASSE"),
    ],
)
def test_mentions_changed_by_a_tokenizer_agree(span_text, mention):
    assert agrees(span_text, mention)


@pytest.mark.parametrize(
    ("span_text", "mention"),
    [
        ("n j", "Obama"),
        ("C", "C++"),
        ("🎉", "🎊"),
        ("Oba", "Obama"),
        ("Obama's", "Obama"),
        ("", "Obama"),
        ("a", "[UNK] b"),
    ],
)
def test_different_mentions_do_not_agree(span_text, mention):
    assert not agrees(span_text, mention)


TEXT = "🎉 Ann joins José 👩\u200d👧 Acme"


@pytest.mark.parametrize("mention", ["Ann", "José", "Acme"])
@pytest.mark.parametrize(("encoding", "width", "unit"), [("utf-16-le", 2, "UTF-16 units"), ("utf-8", 1, "UTF-8 bytes")])
def test_the_unit_of_offsets_is_recognized(mention, encoding, width, unit):
    place = TEXT.index(mention)
    start = len(TEXT[:place].encode(encoding)) // width
    end = start + len(mention.encode(encoding)) // width
    told = recount(TEXT, start, end, mention)
    assert told.startswith(f"The offsets fit in {unit}")
    assert told.endswith(f"the span is [{place}, {place + len(mention)}).")


@pytest.mark.parametrize("span", [(0, 3), (3, 4), (100, 103), (1, 3), (4, 1)])
def test_offsets_that_fit_no_unit(span):
    assert recount(TEXT, *span, "Ann") is None


@pytest.mark.parametrize(
    ("text", "span", "hint"),
    [
        ("😃 Ann meets Bob", [3, 6], r"UTF-16 units.*'Ann', in characters \(code points\) \[2, 5\)"),
        ("👍🏽 go Ann meets Bob", [8, 11], r"UTF-16 units.*'Ann'.*\[6, 9\)"),
        ("Ünal sees Ann, Bob", [11, 14], r"UTF-8 bytes.*'Ann'.*\[10, 13\)"),
        ("#😃JFKairport is open", [2, 5], None),  # inside a word: no other unit fits
        ("Ünal sees Ann, Bob", [10, 13], None),
        ("Ann meets Bob", [1, 3], None),  # ASCII text has the same offsets in all units
        ("王小明见到Bob了", [0, 3], None),
    ],
)
def test_spans_counted_in_another_unit_are_rejected(text, span, hint):
    post = {"text": text, "head": span, "tail": [0, 1]}
    if hint is None:
        assert PostText(post, "post 0").entity(span, "head").span == tuple(span)
        return
    with pytest.raises(InvalidPost, match=f"`head`.* which cuts a word. Counted in {hint}"):
        PostText(post, "post 0").entity(span, "head")
    start, end = span
    confirmed = {"start": start, "end": end, "text": text[start:end]}
    assert PostText(post, "post 0").entity(confirmed, "head").span[0] in (start, start + 1)

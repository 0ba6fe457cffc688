import pytest

from tgdi_hf.processing.named_spans import agrees, recount


@pytest.mark.parametrize(
    ("found", "mention"),
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
def test_what_tokenizers_do_to_a_name_makes_no_other_name(found, mention):
    assert agrees(found, mention)


@pytest.mark.parametrize(
    ("found", "mention"),
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
def test_other_names_are_other_names(found, mention):
    assert not agrees(found, mention)


TEXT = "🎉 Ann joins José 👩\u200d👧 Acme"


@pytest.mark.parametrize("mention", ["Ann", "José", "Acme"])
@pytest.mark.parametrize(("encoding", "width", "unit"), [("utf-16-le", 2, "UTF-16 units"), ("utf-8", 1, "UTF-8 bytes")])
def test_what_else_offsets_count(mention, encoding, width, unit):
    place = TEXT.index(mention)
    start = len(TEXT[:place].encode(encoding)) // width
    end = start + len(mention.encode(encoding)) // width
    told = recount(TEXT, start, end, mention)
    assert told.startswith(f"The offsets fit in {unit}")
    assert told.endswith(f"the span is [{place}, {place + len(mention)}).")


@pytest.mark.parametrize("span", [(0, 3), (3, 4), (100, 103), (1, 3), (4, 1)])
def test_offsets_that_fit_in_nothing(span):
    assert recount(TEXT, *span, "Ann") is None

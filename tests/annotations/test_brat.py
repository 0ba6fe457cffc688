import pytest

from .conftest import outcome

TEXT = "😀 Ann meets Bob in Rome\r\nand goes home"
ANN, BOB, ROME = "T1\tPER 2 5\tAnn\n", "T2\tPER 12 15\tBob\n", "T3\tLOC 19 23\tRome\n"


@pytest.fixture
def collection(write):
    def write_document(annotations, text=TEXT, name="a"):
        if text is not None:
            write(text, f"corpus/{name}.txt")
        return write(annotations, f"corpus/{name}.ann").parent

    return write_document


def test_a_document(collection, image):
    folder = collection("R1\tknows Arg1:T1 Arg2:T2\t\n" + ANN + BOB + ROME)
    image.save(folder / "a.png")
    found = outcome("brat", folder)
    (document,) = found.documents
    assert [(one.id, one.type, one.span) for one in document.entities] == [
        ("T1", "PER", (2, 5)), ("T2", "PER", (12, 15)), ("T3", "LOC", (19, 23)),
    ]  # fmt: skip
    assert found.relations() == [("Ann", "knows", "Bob")] and not found.messages
    assert (document.id, document.image, document.text) == ("a", "a.png", TEXT)
    assert outcome("brat", folder / "a.ann").relations() == found.relations()


def test_offsets_count_carriage_returns(collection):
    found = outcome("brat", collection("T1\tX 29 33\tgoes\n"))
    assert found.documents[0].entities[0].span == (29, 33) == (TEXT.index("goes"), TEXT.index("goes") + 4)


def test_files_of_tools_that_count_other_units(collection):
    found = outcome("brat", collection("T1\tPER 3 6\tAnn\nT2\tPER 15 18\tBob\n"))  # UTF-16 units; bytes
    assert [one.span for one in found.documents[0].entities] == [(2, 5), (12, 15)] and not found.messages


def test_a_span_over_a_line_break_is_one_span(collection):
    found = outcome("brat", collection("T1\tX 19 23;25 28\tRome and\n"))
    assert found.documents[0].entities[0].span == (19, 28) and not found.messages


@pytest.mark.parametrize(
    "line",
    [
        "R1\tknows Arg2:T2 Arg1:T1",
        "R1\tknows Who:T1 Whom:T2",
        "R1\tknows Arg1:T1 Arg2:T2\r",
        "R1\tknows Arg1:T1 Arg2:T2",
    ],
)
def test_roles_of_arguments(collection, line):
    assert outcome("brat", collection(ANN + BOB + line + "\n")).relations() == [("Ann", "knows", "Bob")]


def test_subfolders(collection):
    collection(ANN, name="a")
    folder = collection(BOB, name="sub/b").parent
    assert [document.id for document in outcome("brat", folder).documents] == ["a", "sub/b"]


MALFORMED = {
    "no text file": ((ANN, None), "a.txt is missing"),
    "empty text file": ((ANN, ""), "expected a text"),
    "text in Latin-1": ((ANN, "é Ann".encode("latin-1")), "a.txt is not encoded in UTF-8"),
    "annotations in Latin-1": (("T1\tPER 2 5\té".encode("latin-1"),), "a.ann is not encoded in UTF-8"),
    "annotations in UTF-16": ((ANN.encode("utf-16"),), "is not encoded in UTF-8"),
    "not brat": (("hello",), "line 1: 'hello'; expected a line that begins with T, R"),
    "a table": (("1,2,3",), "expected a line that begins with"),
    "spaces instead of tabs": (("T1 PER 2 5 Ann",), "separated by tabs"),
    "no span": (("T1\tPER\tAnn",), "expected a type and a span, such as 'PER 0 3'"),
    "no type": (("T1\t 2 5\tAnn",), "expected a type and a span"),
    "half a span": (("T1\tPER 2\tAnn",), "expected a type and a span"),
    "span of letters": (("T1\tPER a b\tAnn",), "the start is 'a'"),
    "huge number": (("T1\tPER 2 99999999999999\tAnn",), "the end is '99999999999999'"),
    "end before start": (("T1\tPER 5 2\tAnn",), "the span is [5, 2)"),
    "outside the text": (("T1\tPER 90 93\tAnn",), "is outside the text"),
    "outside the text, no mention": (("T1\tPER 90 93",), "lies outside the text"),
    "other text": (("T1\tPER 2 5\tJoe",), "is 'Joe' in the export"),
    "white space": (("T1\tPER 5 6\t ",), "no visible character"),
    "discontinuous": (("T1\tPER 2 5;12 15\tAnn Bob",), "T1 is discontinuous, 2 5;12 15; expected one span"),
    "an id twice": ((ANN + "T1\tPER 12 15\tBob",), "line 2: another entity has the same id"),
    "a relation id twice": ((ANN + BOB + 2 * "R1\tknows Arg1:T1 Arg2:T2\n",), "another relation has the id R1"),
    "event": ((ANN + "E1\tMeet:T1 Who:T1",), "not used: 1 events"),
    "attribute and note": ((ANN + "A1\tNegation T1\n#1\tNote T1\tsure?\nM1\tX T1",), "not used: 2 attributes"),
    "note": ((ANN + "#1\tAnnotatorNotes T1\tsure?",), "not used: 1 notes"),
    "normalization": ((ANN + "N1\tReference T1 Wikipedia:1\tAnn",), "not used: 1 normalizations"),
    "equivalence": ((ANN + BOB + "*\tEquiv T1 T2",), "not used: 1 equivalences"),
    "relation of an event": ((ANN + "E1\tX:T1\nR1\tknows Arg1:E1 Arg2:T1",), "its argument E1 is an event"),
    "relation to nothing": ((ANN + "R1\tknows Arg1:T1 Arg2:T9",), "its tail is 'T9'"),
    "one argument": ((ANN + "R1\tknows Arg1:T1",), "expected a type and two arguments"),
    "three arguments": ((ANN + BOB + ROME + "R1\tknows Arg1:T1 Arg2:T2 Arg3:T3",), "expected a type and two arguments"),
    "arguments without roles": ((ANN + BOB + "R1\tknows T1 T2",), "expected a type and two arguments"),
    "relation to itself": ((ANN + "R1\tknows Arg1:T1 Arg2:T1",), "head and tail are the same span"),
    "relation without tabs": ((ANN + "R1 knows Arg1:T1 Arg2:T1",), "expected a type and two arguments"),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_collections(collection, name):
    content, message = MALFORMED[name]
    assert message in outcome("brat", collection(*content)).messages


def test_files_without_their_counterpart(collection, write, tmp_path):
    folder = collection(ANN)
    write("Joe", "corpus/b.txt")
    write("Joe", "corpus/c.txt")
    write("", "corpus/c.a1")
    assert outcome("brat", folder).report == [
        "document: no .ann file.", "document: its annotations are in .a1 and .a2; join them to one .ann file.",
    ]  # fmt: skip
    (tmp_path / "empty").mkdir()
    assert "has no .ann files" in outcome("brat", tmp_path / "empty").error
    assert "expected a file that ends in .ann" in outcome("brat", folder / "b.txt").messages

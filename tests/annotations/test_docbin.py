import json
import pickle
import zlib

import pytest

from .conftest import outcome

spacy = pytest.importorskip("spacy", reason="requires the extra `spacy`")

WORDS = ["😀", "Ann", "Lee", "meets", "Bob", "in", "Rome"]
ENTITIES = ((1, 3, "PER"), (4, 5, "PER"), (6, 7, "LOC"))


@pytest.fixture
def docbin(tmp_path):
    """Writes documents with one value each of the attribute `rel`."""
    from spacy.tokens import Doc, DocBin, Span
    from spacy.vocab import Vocab

    def write_docs(*values, entities=ENTITIES, words=WORDS, store=True, data=None, group=None):
        vocab, bin = Vocab(), DocBin(store_user_data=store)
        for value in values:
            doc = Doc(vocab, words=words, spaces=[True] * len(words))
            spans = [Span(doc, start, end, label=label) for start, end, label in entities]
            if group:
                doc.spans[group] = spans
            else:
                doc.ents = spans
            if value is not None:
                doc.user_data["._.", "rel", None, None] = value
            doc.user_data |= data or {}
            bin.add(doc)
        bin.to_disk(tmp_path / "corpus.spacy")
        return tmp_path / "corpus.spacy"

    return write_docs


FORMS = {
    "tutorial": {(1, 4): {"knows": 1.0, "likes": 0.0}, (4, 6): {"lives": 0.7}, (6, 1): {"lives": 0.2}},
    "mappings": [{"head": 1, "child": 4, "label": "knows"}, {"head": 4, "tail": 6, "relation": "lives"}],
    "triples": [(2, 4, "knows"), (4, 6, "lives")],
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_the_attribute(docbin, form):
    found = outcome("docbin", docbin(FORMS[form]))
    (document,) = found.documents
    assert [(one.type, one.span) for one in document.entities] == [
        ("PER", (2, 9)),
        ("PER", (16, 19)),
        ("LOC", (23, 27)),
    ]
    assert found.relations() == [("Ann Lee", "knows", "Bob"), ("Bob", "lives", "Rome")] and not found.messages
    assert document.id == "corpus-0"


def test_ids_and_images_of_documents(docbin):
    data = {"id": 5, ("._.", "image", None, None): "a.png"}
    found = outcome("docbin", docbin(FORMS["triples"], data=data))
    assert (found.documents[0].id, found.documents[0].image) == ("5", "a.png")
    found = outcome("docbin", docbin(FORMS["triples"], data={"photo": "b.png"}), image_key="photo")
    assert found.documents[0].image == "b.png"


def test_span_groups_and_other_attributes(docbin):
    file = docbin(None, group="sc", data={("._.", "links", None, None): [[1, 4, "knows"]]})
    assert outcome("docbin", file, attribute="links").relations() == [("Ann Lee", "knows", "Bob")]


def test_a_folder(docbin):
    assert len(outcome("docbin", docbin([], []).parent).documents) == 2


def test_nothing_is_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (tmp_path / "ran").write_text, ("",)

    from srsly import msgpack_dumps

    content = pickle.dumps(Bomb())
    for number, data in enumerate((content, zlib.compress(content), zlib.compress(msgpack_dumps({"tokens": content})))):
        (tmp_path / f"{number}.spacy").write_bytes(data)
        assert "can't be read as a DocBin" in outcome("docbin", tmp_path / f"{number}.spacy").error
    assert not (tmp_path / "ran").exists()


def test_spacy_is_an_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "spacy", None)
    with pytest.raises(ImportError, match=r"--format docbin requires spacy: pip install 'tgdi_hf\[spacy\]'"):
        outcome("docbin", tmp_path)


BROKEN = {
    "empty file": b"",
    "text": b"hello",
    "JSON": json.dumps({"text": "Ann"}).encode(),
    "compressed text": zlib.compress(b"hello"),
    "compressed nothing": zlib.compress(b""),
    "compressed zeros": zlib.compress(b"\0" * 1000),
}


@pytest.mark.parametrize("name", BROKEN)
def test_files_that_are_no_docbin(tmp_path, name):
    (tmp_path / "a.spacy").write_bytes(BROKEN[name])
    assert "a.spacy can't be read as a DocBin" in outcome("docbin", tmp_path / "a.spacy").error


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_files_cut_off(docbin, share):
    file = docbin(FORMS["triples"])
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    assert "can't be read as a DocBin" in outcome("docbin", file).error


MALFORMED = {
    "no attribute": (None, "no custom attribute 'rel' with its relations; found none: write the file with store_user"),
    "a string": ("knows", "the attribute is 'knows'; expected {(head token, tail token)"),
    "a number": (3, "the attribute is 3"),
    "a key of one": ({1: {"knows": 1}}, "relation 1: expected {(head token"),
    "a key of three": ({(1, 2, 3): {"knows": 1}}, "relation (1, 2, 3): expected"),
    "a pair": ([(1, 4)], "relation 0 is (1, 4); expected"),
    "a label alone": (["knows"], "relation 0 is 'knows'; expected"),
    "no head": ([{"child": 4, "label": "knows"}], "its head is None"),
    "head is a string": ([("Ann", 4, "knows")], "its head is 'Ann'; expected a whole number"),
    "head is a fraction": ([(1.5, 4, "knows")], "its head is 1.5"),
    "token outside": ([(1, 70, "knows")], "its tail is token 70, among 7 tokens"),
    "negative token": ([(-6, 4, "knows")], "its head is token -6, among 7 tokens"),
    "token of no entity": ([(1, 3, "knows")], "its tail is token 3, in no usable entity"),
    "the same entity": ([(1, 2, "knows")], "head and tail are the same span"),
    "no label": ([{"head": 1, "child": 4}], "its label is None; expected an object"),
    "label is a number": ([(1, 4, 5)], "its label is 5"),
    "blank label": ([(1, 4, " ")], "a label is ' '"),
    "score is a string": ({(1, 4): {"knows": "high"}}, "a score is 'high'; expected a number"),
    "score is a truth value": ({(1, 4): {"knows": True}}, "a score is True"),
    "label of bytes": ({(1, 4): {b"knows": 1.0}}, "a label is b'knows'"),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_attributes(docbin, name):
    value, message = MALFORMED[name]
    assert message in outcome("docbin", docbin(value)).messages


def test_other_malformed_documents(docbin, tmp_path):
    file = docbin([], data={("._.", "links", None, None): []})
    assert "found rel, links. Name the attribute" in outcome("docbin", file, attribute="x").messages
    assert "write the file with store_user_data=True" in outcome("docbin", docbin([], store=False)).messages
    assert "the image is 3; expected a path" in outcome("docbin", docbin([], data={"image": 3})).messages
    assert "`id` is (); expected an id" in outcome("docbin", docbin([], data={"id": ()})).messages
    assert "expected a text" in outcome("docbin", docbin([], words=["  "], entities=())).messages
    (tmp_path / "empty").mkdir()
    assert "has no .spacy files" in outcome("docbin", tmp_path / "empty").error


def test_a_damaged_document_is_reported(docbin, monkeypatch):
    from spacy.tokens import DocBin

    file, original = docbin([], []), DocBin.from_disk

    def damaged(self, path):
        original(self, path)
        self.user_data[1] = b"\xc1"
        return self

    monkeypatch.setattr(DocBin, "from_disk", damaged)
    found = outcome("docbin", file)
    assert len(found.documents) == 1 and "nor can the rest of the 2 documents of the file" in found.messages


def test_a_pair_with_an_unusable_relation_is_undecided(docbin):
    (document,) = outcome("docbin", docbin([(1, 4, None)])).documents
    assert document.undecided == {frozenset(("e0", "e1"))}

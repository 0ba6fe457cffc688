import pytest
import spacy
from spacy.tokens import Doc, DocBin, Span

from tgdi_hf.inference.spacy_relations import Relation, RelationGetter, register_extensions

TEXT = "👍🏽 Zoë Ann meets Bob"  # code points: Zoë Ann [3, 10), Bob [17, 20)


def pair(**values):
    return {
        "head": {"text": "Bob", "start": 17, "end": 20},
        "tail": {"text": "Zoë Ann", "start": 3, "end": 10},
        "relations": [{"relation": "peer", "score": 0.75}],
        "gate": 0.5,
        **values,
    }


@pytest.fixture
def doc():
    doc = spacy.blank("en")(TEXT)
    doc.ents = [doc.char_span(3, 10, "PERSON"), doc.char_span(17, 20, "PER")]
    return doc


@pytest.fixture
def getter():
    return register_extensions()


@pytest.fixture
def extension():
    """Registers a custom attribute for one test."""
    names = set()

    def register(name, **options):
        names.add(name)
        Doc.set_extension(name, force=True, **options)

    yield register
    for name in names:
        Doc.remove_extension(name)
    register_extensions()


def test_a_document_without_relations_has_an_empty_list(doc, getter):
    assert doc._.relations == []
    getter.store(doc, {"pairs": []}, doc.ents)
    assert doc._.relations == [] and doc._.image is None


def test_head_and_tail_are_entities_of_the_document(doc, getter):
    getter.store(doc, {"pairs": [pair()], "truncated": ["text"]}, doc.ents)
    (relation,) = doc._.relations
    assert relation == Relation(doc.ents[1], doc.ents[0], "peer", 0.75, 0.5, ("text",))
    assert isinstance(relation.head, Span) and relation.head.doc is doc
    assert (relation.head.text, relation.head.label_) == ("Bob", "PER")
    assert (relation.tail.text, relation.tail.label_) == ("Zoë Ann", "PERSON")


def test_every_relation_of_a_pair_is_one_of_the_document(doc, getter):
    several = [{"relation": "peer", "score": 0.75}, {"relation": "couple", "score": 0.5}, {"relation": "a", "score": 0}]
    getter.store(doc, {"pairs": [pair(relations=several)]}, doc.ents, min_score=0.5)
    assert [(one.label, one.score) for one in doc._.relations] == [("peer", 0.75), ("couple", 0.5)]


def test_relations_survive_bytes_and_files(doc, getter):
    getter.store(doc, {"pairs": [pair()]}, doc.ents)
    for copy in (
        Doc(doc.vocab).from_bytes(doc.to_bytes()),
        *DocBin().from_bytes(DocBin(docs=[doc], store_user_data=True).to_bytes()).get_docs(doc.vocab),
    ):
        (relation,) = copy._.relations
        assert (relation.head.text, relation.head.label_, relation.tail.text) == ("Bob", "PER", "Zoë Ann")
        assert relation.head.doc is copy


def test_relations_follow_merged_and_split_tokens(doc, getter):
    getter.store(doc, {"pairs": [pair()]}, doc.ents)
    with doc.retokenize() as retokenizer:
        retokenizer.merge(doc.ents[0])
    with doc.retokenize() as retokenizer:
        retokenizer.split(doc[-1], ["B", "ob"], heads=[doc[-1], doc[-1]])
    (relation,) = doc._.relations
    assert (relation.head.text, relation.tail.text) == ("Bob", "Zoë Ann")
    assert (len(relation.head), len(relation.tail)) == (2, 1)


def test_the_nearest_entity_gives_its_label(doc, getter):
    """An entity that cut a character was extended into its neighbour."""
    doc.ents = [doc.char_span(0, 1, "A"), doc.char_span(1, 10, "B", alignment_mode="expand")]
    for place, label in (((0, 2), "A"), ((0, 10), "B")):
        entity = dict(zip(("start", "end"), place))
        getter.store(doc, {"pairs": [pair(head=entity)]}, doc.ents)
        assert doc._.relations[0].head.label_ == label


def test_relations_do_not_move_into_a_part(doc, getter):
    getter.store(doc, {"pairs": [pair()]}, doc.ents)
    part = doc[2:].as_doc(copy_user_data=True)
    with pytest.raises(
        ValueError, match=r"a document of 20 characters, but this one has 17: it is a part.*Run the com"
    ):
        _ = part._.relations
    assert doc[2:].as_doc()._.relations == [] and len(doc[:].as_doc(copy_user_data=True)._.relations) == 1


def test_relations_are_read_only(doc, getter):
    with pytest.raises(AttributeError, match=r"`doc._.relations` is read-only: the component `tgdi` fills it"):
        doc._.relations = []


def test_registering_twice_changes_nothing(getter):
    assert register_extensions() == getter == RelationGetter("relations")


def test_another_name_keeps_its_own_relations(doc, getter, extension):
    extension("links", getter=RelationGetter("links"))
    register_extensions("links").store(doc, {"pairs": [pair()]}, doc.ents)
    assert len(doc._.links) == 1 and doc._.relations == []


@pytest.mark.parametrize(
    "options", [{"default": None}, {"getter": len}, {"method": len}, {"getter": RelationGetter("others")}]
)
def test_a_custom_attribute_with_another_meaning_is_refused(extension, options):
    extension("edges", **options)
    with pytest.raises(ValueError, match=r"`doc._.edges` exists already, with another meaning.*remove_extension\('e"):
        register_extensions("edges")


def test_an_image_of_the_user_is_kept_and_a_method_refused(doc, extension):
    extension("image", getter=lambda doc: f"{len(doc)}.png")
    register_extensions()
    assert doc._.image == "6.png"
    extension("image", method=len)
    with pytest.raises(ValueError, match=r"`doc._.image` exists already and is a method; expected the image of the"):
        register_extensions()

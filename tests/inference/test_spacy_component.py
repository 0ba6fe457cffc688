import io
import pickle
from dataclasses import replace

import pytest
import spacy
from spacy.tokens import Doc, Span

from tgdi_hf import InvalidPost, MultimodalRelationExtractionPipeline
from tgdi_hf.inference import spacy_factory  # noqa: F401 - registers the factory, as the entry point does
from tgdi_hf.inference.spacy_component import RelationComponent, SpacySettings

PATTERNS = [("Ann", "PERSON"), ("Bob", "PERSON"), ("Rome", "GPE"), ("Nudakol Band", "ORG"), ("Monday", "DATE")]
TEXTS = [
    "Ann meets Bob in Rome",
    "nobody is here",
    "Bob alone",
    "👍🏽 Ann plays in Nudakol Band on Monday with Bob and some other friends",
    "Ann and Bob",
]


@pytest.fixture
def checkpoint(model, processor, tmp_path):
    model.classifier.bias.data[0] = -100.0  # never `None`
    model.config.tail_first_bias = 0.0
    model.save_pretrained(tmp_path / "checkpoint")
    processor.save_pretrained(tmp_path / "checkpoint")
    return str(tmp_path / "checkpoint")


@pytest.fixture
def plain(checkpoint, model, processor):
    """The pipeline of the same model, without spaCy."""
    return MultimodalRelationExtractionPipeline(model=model, processor=processor)


def pipeline_of_spacy():
    """Of no language: building the rules of English takes longer than most tests."""
    nlp = spacy.blank("xx")
    nlp.add_pipe("entity_ruler").add_patterns([{"pattern": text, "label": label} for text, label in PATTERNS])
    return nlp


@pytest.fixture
def nlp(checkpoint):
    nlp = pipeline_of_spacy()
    nlp.add_pipe("tgdi", config={"model": checkpoint})
    return nlp


def tuples(doc):
    return [
        (one.head.text, one.head.start_char, one.label, one.tail.text, one.tail.start_char, one.score, one.gate)
        for one in doc._.relations
    ]


def expected(plain, text, image=None, ignored=("DATE",), **post):
    """The tuples of a document by the pipeline, whose results are tested elsewhere."""
    entities = [{"name": name, "type": label} for name, label in PATTERNS if name in text and label not in ignored]
    if len(entities) < 2:
        return []
    result = plain({"text": text, "entities": entities, "image": image, **post}, drop_none=True)
    return [
        (*(pair["head"][key] for key in ("text", "start")), pair["relation"],
         *(pair["tail"][key] for key in ("text", "start")), pytest.approx(pair["score"], abs=1e-5),
         None if pair["gate"] is None else pytest.approx(pair["gate"], abs=1e-5))
        for pair in result["pairs"]
    ]  # fmt: skip


def png(image):
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


# Relations


def test_a_document_has_the_relations_of_the_pipeline(nlp, plain):
    doc = nlp(TEXTS[0])
    assert tuples(doc) == expected(plain, TEXTS[0]) and len(doc._.relations) == 3
    relation = doc._.relations[0]
    assert relation.head in doc.ents and relation.tail in doc.ents and relation.gate is None
    assert relation.head.label_ == "PERSON"


def test_a_stream_has_the_relations_of_the_pipeline_in_order(nlp, plain):
    docs = list(nlp.pipe(TEXTS, batch_size=2))
    assert [doc.text for doc in docs] == TEXTS
    assert [tuples(doc) for doc in docs] == [expected(plain, text) for text in TEXTS]
    assert [len(doc._.relations) for doc in docs] == [3, 0, 0, 3, 1]


def test_documents_share_batches_of_the_model(nlp, monkeypatch):
    sizes = []
    pipe = nlp.get_pipe("tgdi").pipeline
    forward = pipe.forward
    monkeypatch.setattr(pipe, "forward", lambda batch, **kw: sizes.append(len(batch.posts)) or forward(batch, **kw))
    list(nlp.pipe(["Ann and Bob"] * 20 + ["Bob alone"] * 5))
    assert sizes == [16, 4]
    sizes.clear()
    list(nlp.pipe(["Ann and Bob"] * 5, batch_size=2))
    assert sizes == [2, 2, 1]


def test_a_stream_is_read_as_it_is_consumed(nlp):
    read = []

    def texts():
        for number in range(1000):
            read.append(number)
            yield "Ann and Bob"

    docs = nlp.pipe(texts(), batch_size=4)
    for _ in range(3):
        next(docs)
    assert len(read) <= 8


@pytest.mark.parametrize("kind", ["path", "bytes", "PIL"])
def test_the_image_of_a_document(nlp, plain, image, tmp_path, kind):
    image.save(tmp_path / "post.png")
    doc = nlp.make_doc(TEXTS[0])
    doc._.image = {"path": str(tmp_path / "post.png"), "bytes": png(image), "PIL": image}[kind]
    with_image = nlp(doc)
    assert tuples(with_image) == expected(plain, TEXTS[0], image)
    assert 0 < with_image._.relations[0].gate < 1
    assert tuples(with_image) != tuples(nlp(TEXTS[0]))


def test_caption_and_objects_of_a_document(nlp, plain, image):
    doc = nlp.make_doc(TEXTS[0])
    doc._.image, doc._.caption, doc._.objects = image, "two friends", [[0, 0, 20, 20]]
    assert tuples(nlp(doc)) == expected(plain, TEXTS[0], image, caption="two friends", objects=[[0, 0, 20, 20]])
    assert tuples(doc) != expected(plain, TEXTS[0], image)


def test_values_are_ignored_unless_asked_for(checkpoint, plain):
    nlp = pipeline_of_spacy()
    nlp.add_pipe("tgdi", config={"model": checkpoint, "ignore_labels": ["ORG"]})
    assert tuples(nlp(TEXTS[3])) == expected(plain, TEXTS[3], ignored=("ORG",))


def test_labels_are_mapped_to_the_types_of_the_model(checkpoint):
    nlp = spacy.blank("xx")
    nlp.add_pipe("entity_ruler").add_patterns([{"pattern": "Ann", "label": "STAR"}, {"pattern": "Rome", "label": "X"}])
    nlp.add_pipe("tgdi", config={"model": checkpoint, "entity_types": {"STAR": "person", "X": "loc"}})
    (relation,) = nlp("Ann loves Rome")._.relations
    assert relation.label.startswith("/per/loc/") and relation.head.label_ == "STAR"


def test_entities_of_unknown_types_and_inside_words(nlp, plain):
    doc = Doc(nlp.vocab, words=["naïve", "Ann", "ette", "or", "Bob"], spaces=[True, False, True, True, False])
    doc.ents = [Span(doc, 1, 2, "ODD"), Span(doc, 4, 5, "ODD")]
    entities = [{"start": 6, "end": 9, "text": "Ann"}, {"start": 17, "end": 20, "text": "Bob"}]
    (pair,) = plain({"text": doc.text, "entities": entities})["pairs"]
    (relation,) = nlp.get_pipe("tgdi")(doc)._.relations
    assert {relation.head.text, relation.tail.text} == {"Ann", "Bob"} and relation.head.label_ == "ODD"
    assert (relation.label, relation.score) == (pair["relation"], pytest.approx(pair["score"]))


@pytest.mark.parametrize(
    ("words", "ents", "head", "tail"),
    [
        (["👍", "🏽", "y"], [(0, 1), (2, 3)], "👍🏽", "y"),  # spaCy's tokens of 👍🏽y
        (["👩", "\u200d", "❤", "\ufe0f\u200d", "👨", "y"], [(1, 2), (5, 6)], "👩\u200d❤\ufe0f\u200d👨", "y"),
        (["🇫", "🇷", "x"], [(1, 2), (2, 3)], "🇫🇷", "x"),
        (["y", "👍", "🏽", "x"], [(0, 1), (1, 2), (2, 3)], "y", "👍🏽"),  # both halves are an entity
    ],
)
def test_entities_that_cut_an_emoji_are_extended(nlp, plain, words, ents, head, tail):
    doc = Doc(nlp.vocab, words=words, spaces=[False] * len(words))
    doc.ents = [Span(doc, start, end, "ODD") for start, end in ents]
    (relation,) = nlp.get_pipe("tgdi")(doc)._.relations
    places = [(doc.text.index(part), doc.text.index(part) + len(part)) for part in (head, tail)]
    (pair,) = plain({"text": doc.text, "entities": places})["pairs"]
    assert {relation.head.text, relation.tail.text} == {head, tail}
    assert (relation.head.text, relation.label) == (pair["head"]["text"], pair["relation"])
    assert relation.score == pytest.approx(pair["score"], abs=1e-5)


def test_an_invisible_entity_is_an_error(nlp):
    doc = Doc(nlp.vocab, words=["Ann", " ", "Bob"], spaces=[False, False, False])
    doc.ents = [Span(doc, 0, 1, "ODD"), Span(doc, 1, 2, "ODD")]
    with pytest.raises(InvalidPost, match=r"^doc 'Ann Bob'.*no visible character"):
        nlp.get_pipe("tgdi")(doc)


def test_a_lowest_score(checkpoint, plain):
    nlp = pipeline_of_spacy()
    scores = sorted(one[5].expected for one in expected(plain, TEXTS[0]))
    nlp.add_pipe("tgdi", config={"model": checkpoint, "min_score": scores[0] + 1e-3})
    assert sorted(one.score for one in nlp(TEXTS[0])._.relations) == pytest.approx(scores[1:])


def test_pairs_without_relation(checkpoint, model):
    model.classifier.bias.data[0] = 100.0  # always `None`
    model.save_pretrained(checkpoint)
    for options, found in (({}, 0), ({"drop_none": False}, 3)):
        nlp = pipeline_of_spacy()
        nlp.add_pipe("tgdi", config={"model": checkpoint, **options})
        assert [one.label for one in nlp(TEXTS[0])._.relations] == ["None"] * found


def test_two_models_in_one_pipeline(nlp, checkpoint):
    nlp.add_pipe("tgdi", name="strict", config={"model": checkpoint, "attribute": "strict_relations", "min_score": 1})
    try:
        doc = nlp(TEXTS[0])
        assert len(doc._.relations) == 3 and doc._.strict_relations == []
    finally:
        Doc.remove_extension("strict_relations")


def test_labels_are_those_of_the_model(nlp, model):
    assert nlp.pipe_labels["tgdi"] == [model.config.id2label[i] for i in range(model.config.num_labels)]


# Saving


def test_settings_are_saved_with_the_pipeline(nlp, tmp_path):
    nlp.to_disk(tmp_path / "saved")
    assert not (tmp_path / "saved/tgdi").exists()
    loaded = spacy.load(tmp_path / "saved", config={"components": {"tgdi": {"min_score": 0.25}}})
    assert loaded.get_pipe("tgdi").settings == replace(nlp.get_pipe("tgdi").settings, min_score=0.25)
    assert tuples(loaded(TEXTS[0])) == tuples(nlp(TEXTS[0]))
    copy = spacy.blank("xx").from_config(nlp.config).from_bytes(nlp.to_bytes())
    doc = pipeline_of_spacy()(TEXTS[0])  # spaCy does not restore the patterns of an entity ruler from bytes
    assert tuples(copy.get_pipe("tgdi")(doc)) == tuples(nlp(TEXTS[0]))


def test_weights_are_saved_on_request(nlp, checkpoint, tmp_path):
    with_weights = pipeline_of_spacy()
    with_weights.add_pipe("tgdi", config={"model": checkpoint, "save_weights": True})
    with_weights.to_disk(tmp_path / "saved")
    files = {file.name for file in (tmp_path / "saved/tgdi/model").iterdir()}
    assert {"config.json", "model.safetensors", "processor_config.json"} <= files
    data, config = with_weights.to_bytes(), with_weights.config.copy()
    relations = tuples(nlp(TEXTS[0]))
    (tmp_path / "checkpoint").rename(tmp_path / "gone")
    assert tuples(spacy.load(tmp_path / "saved")(TEXTS[0])) == relations
    copy = spacy.blank("xx").from_config(config).from_bytes(data)
    assert tuples(copy.get_pipe("tgdi")(pipeline_of_spacy()(TEXTS[0]))) == relations


def test_excluded_weights_are_neither_written_nor_read(checkpoint, tmp_path):
    component = RelationComponent("tgdi", SpacySettings(checkpoint, save_weights=True))
    component.to_disk(tmp_path / "none", exclude=["model"])
    assert not (tmp_path / "none").exists()
    assert component.from_disk(tmp_path / "none", exclude=["model"]) is component
    assert component.from_bytes(component.to_bytes(exclude=["model"]), exclude=["model"]) is component
    with pytest.raises(ValueError, match=r"Component tgdi: .*none/model is missing. It was saved without `save_weig"):
        component.from_disk(tmp_path / "none")
    with pytest.raises(ValueError, match="the bytes have no weights. It was saved without `save_weights`"):
        component.from_bytes(component.to_bytes(exclude=["model"]))


def test_bytes_write_no_file_elsewhere(checkpoint, tmp_path):
    import srsly

    component = RelationComponent("tgdi", SpacySettings(checkpoint, save_weights=True))
    with pytest.raises(ValueError, match=r"'../evil' in the bytes is not a file name"):
        component.from_bytes(srsly.msgpack_dumps({"model": {"../evil": b""}}))


def test_other_processes_get_the_component(nlp):
    copy = pickle.loads(pickle.dumps(nlp.get_pipe("tgdi")))
    doc = pipeline_of_spacy()(TEXTS[0])
    assert tuples(copy(doc)) == tuples(nlp(TEXTS[0]))


# Bad input

CONFIGS = {
    "no model": ({"model": None}, "`model` is None; expected the folder of a fine-tuned model or its name on the Hub"),
    "an empty name": ({"model": " "}, "`model` is ' '; expected the folder"),
    "a number": ({"model": 3}, "`model` is 3; expected the folder"),
    "a missing folder": ({"model": "./nowhere"}, r"./nowhere: no such folder; expected a fine-tuned model"),
    "a file": ({"model": "FILE"}, "is a file; expected the folder of a fine-tuned model"),
    "an empty folder": ({"model": "EMPTY"}, "has no config.json; expected the folder of a fine-tuned model"),
    "a revision of a folder": ({"revision": "main"}, "The revision 'main' applies to the Hub"),
    "a revision by number": ({"revision": 1}, "`revision` is 1; expected a string or None"),
    "an unknown device": ({"device": "gpu"}, "`device` is 'gpu', which cannot be used"),
    "a fraction of a device": ({"device": 0.5}, "`device` is 0.5; expected a string such as 'cuda:0', a number, or No"),
    "bf16 as text": ({"bf16": "yes"}, "`bf16` is 'yes'; expected True or False"),
    "a batch of text": ({"batch_size": "16"}, "`batch_size` is '16'; expected 1 or more"),
    "a negative batch": ({"batch_size": -1}, "`batch_size` is -1; expected 1 or more"),
    "a true batch": ({"batch_size": True}, "`batch_size` is True; expected 1 or more"),
    "negative workers": ({"num_workers": -1}, "`num_workers` is -1; expected 0 or more"),
    "none to drop": ({"drop_none": 1}, "`drop_none` is 1; expected True or False"),
    "a score in percent": ({"min_score": 50}, "`min_score` is 50; expected a number from 0 to 1"),
    "a threshold for one label": ({"threshold": 0.5}, "`threshold` requires a multi-label model"),
    "a threshold of one": ({"threshold": 1}, "`threshold` is 1; expected None or a number between 0 and 1"),
    "an unknown label": ({"negative_label": "nothing"}, "'nothing'"),
    "a label by number": ({"negative_label": 0}, "`negative_label` is 0; expected a string or None"),
    "an unknown order": ({"pairs": "both"}, "`pairs` is 'both'"),
    "no order": ({"pairs": None}, "`pairs` is None; expected 'auto', 'mnre', 'independent' or a number"),
    "an unknown type": ({"entity_types": {"X": "pre"}}, "type 'pre'; the relation labels of .* have the types loc"),
    "types in a list": ({"entity_types": ["PERSON"]}, r"`entity_types` is \['PERSON'\]; expected a type for each"),
    "a type of None": ({"entity_types": {"X": None}}, "expected a type for each label"),
    "one ignored label": ({"ignore_labels": "DATE"}, r"`ignore_labels` is 'DATE'; expected a list of labels"),
    "no ignored labels": ({"ignore_labels": None}, "`ignore_labels` is None; expected a list of labels"),
    "an attribute with a space": ({"attribute": "the relations"}, "`attribute` is 'the relations'; expected a name"),
    "the attribute of the image": ({"attribute": "image"}, "`attribute` is 'image'; expected another name than image,"),
    "weights as text": ({"save_weights": "no"}, "`save_weights` is 'no'; expected True or False"),
    "an unknown key": ({"batch": 8}, "(?s)Config error for 'tgdi'.*unexpected argument: 'batch'"),
}  # fmt: skip


@pytest.mark.parametrize("case", CONFIGS)
def test_bad_settings(checkpoint, tmp_path, case):
    (tmp_path / "empty").mkdir()
    options, message = CONFIGS[case]
    options = {"model": checkpoint, **options}
    known = {"FILE": f"{checkpoint}/config.json", "EMPTY": str(tmp_path / "empty")}
    options["model"] = known.get(options["model"], options["model"])
    with pytest.raises(ValueError, match=message):
        pipeline_of_spacy().add_pipe("tgdi", config=options)


def test_types_need_labels_with_types(checkpoint, model):
    model.config.id2label = {i: name.replace("/", "_") for i, name in model.config.id2label.items()}
    model.config.label2id = {name: i for i, name in model.config.id2label.items()}
    model.save_pretrained(checkpoint)
    with pytest.raises(ValueError, match="has the type 'per'; the relation labels of .* have no types"):
        RelationComponent("tgdi", SpacySettings(checkpoint, entity_types={"STAR": "per"}))


DOCS = {
    "a missing file": ("image", "nowhere.png", "image.*nowhere.png: no such file"),
    "a folder": ("image", ".", "expected a file, found a folder"),
    "a broken file": ("image", "BROKEN", "broken.png: the file is not in an image format that PIL can read"),
    "half a file": ("image", "TRUNCATED", "half.png: the image cannot be decoded"),
    "broken bytes": ("image", b"no image", "the file is not in an image format"),
    "a URL": ("image", "https://example.org/a.png", "URLs are not fetched"),
    "a number": ("image", 7, "expected an image as PIL image, path, array, bytes"),
    "a caption by number": ("caption", 7, "caption"),
    "objects by number": ("objects", 7, "objects"),
    "a box of three": ("objects", [[1, 2, 3]], "object 0: the box .* is not four finite numbers"),
}


@pytest.fixture
def bad_doc(nlp, image, tmp_path):
    def make(key, value, text="Ann meets Bob"):
        (tmp_path / "broken.png").write_bytes(b"not an image")
        (tmp_path / "half.png").write_bytes(png(image)[:2000])
        files = {"BROKEN": str(tmp_path / "broken.png"), "TRUNCATED": str(tmp_path / "half.png")}
        doc = nlp.make_doc(text)
        doc._.image = image if key != "image" else None
        doc._.set(key, files.get(value, value) if isinstance(value, str) else value)
        return doc

    return make


@pytest.mark.parametrize("case", DOCS)
def test_a_bad_document_is_named(nlp, bad_doc, processor, case):
    key, value, message = DOCS[case]
    nlp.get_pipe("tgdi").pipeline.processor.num_objects = 3 if key == "objects" else 0
    nlp.get_pipe("tgdi").pipeline.model.config.num_objects = 3 if key == "objects" else 0
    with pytest.raises(InvalidPost, match=rf"^doc 'Ann meets Bob'.*{message}") as error:
        nlp(bad_doc(key, value))
    assert error.value.field == key
    stream = nlp.pipe([nlp.make_doc("Ann and Bob"), bad_doc(key, value)])
    assert len(next(stream)._.relations) == 1
    with pytest.raises(InvalidPost, match=rf"^doc 1 \('Ann meets Bob'\).*{message}"):
        next(stream)


def test_an_error_handler_skips_bad_documents(nlp, bad_doc):
    errors = []
    nlp.set_error_handler(lambda name, component, docs, error: errors.append((name, docs[0].text, str(error))))
    docs = [nlp.make_doc("Ann and Bob"), bad_doc("image", b"x", "Bob with Ann"), nlp.make_doc("Bob and Ann")]
    assert [doc.text for doc in nlp.pipe(docs)] == ["Ann and Bob", "Bob and Ann"]
    ((name, text, message),) = errors
    assert (name, text) == ("tgdi", "Bob with Ann") and message.startswith("doc 1 ('Bob with Ann')")
    assert nlp.get_pipe("tgdi").get_error_handler() is nlp.default_error_handler


def test_a_broken_image_does_not_matter_without_pairs(nlp, bad_doc):
    assert nlp(bad_doc("image", b"no image", "Bob alone"))._.relations == []


def test_too_many_entities(nlp):
    text = " and ".join(["Ann"] * 65)
    with pytest.raises(
        InvalidPost, match=r"^doc 'Ann and Ann.*' has 65 entities; expected at most 64.*`ignore_labels`"
    ):
        nlp(text)


def test_a_text_that_is_too_long(checkpoint):
    text = "Ann meets Bob " + "and then they talk about it " * 30
    nlp = pipeline_of_spacy()
    nlp.add_pipe("tgdi", config={"model": checkpoint})
    assert nlp(text)._.relations[0].truncated == ("text",)
    nlp.replace_pipe("tgdi", "tgdi", config={"model": checkpoint, "truncation": False})
    with pytest.raises(InvalidPost, match=r"^doc 'Ann meets Bob and then"):
        nlp(text)


def test_overlapping_entities_are_refused_by_spacy(nlp):
    """So the component never gets any."""
    doc = nlp.make_doc("Ann meets Bob")
    with pytest.raises(ValueError, match="E1010.*included in more than one span"):
        doc.ents = [Span(doc, 0, 2, "PERSON"), Span(doc, 1, 3, "PERSON")]


@pytest.mark.parametrize("size", [0, -1, "4", None, True])
def test_a_bad_batch_size_of_a_stream(nlp, size):
    with pytest.raises(ValueError, match=rf"`batch_size` of `pipe` is {size!r}; expected 1 or more"):
        next(nlp.get_pipe("tgdi").pipe([], batch_size=size))

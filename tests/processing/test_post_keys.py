import copy
import json
from decimal import Decimal

import numpy as np
import pandas
import pytest
from datasets import Dataset
from PIL import Image

from tgdi_hf import InvalidPost, TGDICollator, prepare
from tgdi_hf.processing import post_keys
from tgdi_hf.processing.post_keys import POST_KEYS, checked_post, hint, is_missing, meant_keys

POST = {"text": "Ann meets Bob", "head": "Ann", "tail": "Bob"}
MISSING = [None, float("nan"), np.nan, np.float32("nan"), np.datetime64("NaT"), Decimal("nan"), pandas.NA, pandas.NaT]
BOXES = [[0, 0, 4, 4]]


@pytest.fixture
def warned(monkeypatch):
    """The warnings about keys, with the record of earlier warnings cleared."""
    messages = []
    monkeypatch.setattr(post_keys, "_named", set())
    monkeypatch.setattr(post_keys.logger, "warning", messages.append)
    return messages


@pytest.fixture
def processor(_tiny):
    return _tiny[1]


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        *[(key, "image") for key in (
            "images", "img", "image_path", "file_name", "picture", "photo", "imgs", "img_path", "Image", "imagePath",
            "image path", "imgae", "iamge", "imag", "IMG_URL", "pic", "img_id",
        )],
        *[(key, "caption") for key in ("caption_text", "captions", "Caption", "captoin", "image_caption")],
        *[(key, "objects") for key in ("boxes", "bbox", "Objects", "bounding_boxes", "objets")],
        *[(key, "text") for key in ("sentence", "tweet", "content", "Text", "texts", "txet", "TEXT ")],
        *[(key, "words") for key in ("tokens", "token", "word")],
        *[(key, "head") for key in ("subject", "h", "head_entity", "haed", "e1", "Head", "heads")],
        *[(key, "tail") for key in ("t", "tail_span", "tial", "e2", "entity2")],
        *[(key, "entities") for key in ("entity", "ents", "mentions", "entites", "entitie")],
    ],
)  # fmt: skip
def test_synonyms_and_typos_are_recognized(key, meant):
    assert meant_keys(key) == (meant,)


def test_a_name_may_be_a_synonym_of_two_keys():
    assert meant_keys("object") == meant_keys("obj") == ("tail", "objects")


@pytest.mark.parametrize(
    "key",
    [
        *POST_KEYS, "user", "created_at", "lang", "relation", "label", "score", "test", "lead", "mail", "source",
        "title", "url", "media", "image_id", "image_hash", "caption_by", "objects_by", "object_scores",
        "object_phrases", "relevance", "context", "row", "split", "tweet_id", "text_length", "image_width", "gate",
        7, None,
    ],
)  # fmt: skip
def test_unrelated_columns_are_not_near_misses(key):
    assert meant_keys(key) == ()


@pytest.mark.parametrize("key", ["images", "img", "image_path", "picture", "photo", "Image"])
def test_a_near_miss_causes_one_warning(warned, key):
    for number in range(3):
        checked_post({**POST, key: "a.png"}, f"posts.jsonl, line {number + 1}")
    assert warned == [
        f"posts.jsonl, line 1: the key {key!r} is ignored; did you mean `image`? If so, rename it. This warning is "
        "not repeated for this key."
    ]


@pytest.mark.parametrize(
    "given",
    [
        {"image": "a.png", "image_path": "b.png"},
        {"image_path": None, "images": "", "imgs": [], "photo": float("nan")},
        {"caption": "", "captions": "two men"},  # an empty caption says that there is none
        {"objects": [], "boxes": BOXES},
        {"tokens": ["Ann"], "sentence": "Ann", "ents": ["Ann"], "entity": "Ann"},  # text, head and tail are present
        {"id": 7, "user": "ann", "created_at": "today", "lang": "en", "relation": "peer", "label": 1, "score": 0.5},
    ],
)
def test_present_keys_cause_no_warnings(warned, given):
    checked_post({**POST, **given}, "post 0")
    assert warned == []


def test_a_missing_image_beside_a_path_causes_a_warning(warned):
    checked_post({**POST, "image": None, "image_path": "a.png"}, "post 0")
    assert "'image_path' is ignored; did you mean `image`?" in warned[0]


@pytest.mark.parametrize(
    ("post", "field", "message"),
    [
        ({"sentence": "a b", "head": "a", "tail": "b"}, "text", r"no `text` or `words` \(found `sentence`; did you"),
        ({"tokens": ["a"], "head": "a", "tail": "b"}, "text", r"\(found `tokens`; did you mean `words`\?\)"),
        ({"text": "", "tweet": "a b", "head": "a", "tail": "b"}, "text", "found `tweet`"),
        ({"text": "a b", "subject": "a", "object": "b"}, "head", r"no `head` \(found `subject`; did you mean `head`\?"),
        ({"text": "a b", "head": "a", "object": "b"}, "tail", r"no `tail` \(found `object`; did you mean `tail`"),
        ({"text": "a b", "h": "a", "t": "b"}, "head", "found `h`"),
        ({"text": "a b", "ents": ["a", "b"]}, "head", r"found `ents`; did you mean `entities`\?"),
    ],
)  # fmt: skip
def test_an_error_of_a_required_key_names_the_near_miss(pipe, post, field, message):
    with pytest.raises(InvalidPost, match=f"^post 0: the post has .*{message}") as error:
        pipe(post)
    assert error.value.field == field


def test_entities_are_optional_if_they_are_found_later(warned):
    assert checked_post({"text": "a b", "subject": "a"}, "post 0", need_entities=False)["text"] == "a b"
    assert "'subject' is ignored; did you mean `head`?" in warned[0]


def test_the_file_name_of_an_imagefolder_is_the_image(warned):
    assert checked_post({**POST, "file_name": "a.PNG"}, "post 0")["image"] == "a.PNG"
    assert checked_post({**POST, "file_name": "a.png", "image": "b.png"}, "post 0")["image"] == "b.png"
    assert warned == []
    # A row whose image was removed or could not be read does not get it back.
    assert checked_post({**POST, "file_name": "a.png", "image": None}, "post 0")["image"] is None
    assert "image" not in checked_post({**POST, "file_name": "posts.txt"}, "post 0")


@pytest.mark.parametrize("value", MISSING)
def test_every_kind_of_empty_cell_is_a_missing_value(pipe, value):
    assert is_missing(value)
    optional = ("image", "objects", "caption", "entities", "words", "id", "where")
    assert checked_post({**POST, **dict.fromkeys(optional, value)}, "post 0") == {**POST, **dict.fromkeys(optional)}
    actual = pipe({**POST, **dict.fromkeys(optional, value)})
    assert actual["relation"] == pipe(POST)["relation"] and "id" not in actual
    typed = {"start": 0, "end": 3, "type": value}
    assert pipe({**POST, "head": typed})["head"] == {"text": "Ann", "start": 0, "end": 3}
    assert pipe({**POST, "head": {"text": "Ann", "start": value, "end": value}})["head"]["text"] == "Ann"


@pytest.mark.parametrize("value", ["", 0, False, [], {}, np.zeros(3), np.str_("nan"), "nan", Image.new("RGB", (2, 2))])
def test_other_values_are_not_missing(value):
    assert not is_missing(value)


@pytest.mark.parametrize("value", MISSING[1:])
@pytest.mark.parametrize("name", ["text", "head", "tail"])
def test_an_empty_cell_of_a_required_key_is_named(pipe, processor, name, value):
    message = rf"`{name}` is (NaN|NaT|<NA>): the cell is empty"
    (answer,) = pipe([{**POST, name: value, "id": 4}], strict=False)
    assert answer["id"] == 4 and answer["field"] == name
    with pytest.raises(InvalidPost, match=f"^post 0: {message}"):
        pipe({**POST, name: value})
    with pytest.raises(InvalidPost, match=f"^row 0 of the batch: {message}"):
        TGDICollator(processor)([{**POST, name: value}])


def test_an_empty_cell_in_a_list_is_rejected(pipe):
    for lists, field in (
        ({"words": ["Ann", np.nan, "Bob"], "text": None}, "words"),
        ({"entities": ["Ann", pandas.NA], "head": None, "tail": None}, "entities"),
    ):
        with pytest.raises(InvalidPost) as error:
            pipe({**POST, **lists})
        assert error.value.field == field


@pytest.mark.parametrize("value", MISSING)
def test_a_missing_object_in_a_list_is_rejected(processor, value):
    processor = copy.copy(processor)
    processor.num_objects = 3
    with pytest.raises(InvalidPost, match="^row 0 of the batch, object 1") as error:
        TGDICollator(processor)([{**POST, "image": Image.new("RGB", (8, 8)), "objects": [*BOXES, value]}])
    assert error.value.field == "objects"


def test_rows_of_pandas_tables_are_accepted(pipe, processor, image, tmp_path, warned):
    image.save(tmp_path / "a.png")
    table = pandas.DataFrame(
        [{**POST, "image": str(tmp_path / "a.png"), "caption": "two", "id": 1, "objects": BOXES}, {**POST, "id": 2}]
    )
    first, second = table.to_dict("records")
    assert second["image"] != second["image"]  # NaN
    expected = pipe([{**POST, "image": image, "caption": "two", "objects": BOXES}, POST])
    for rows in ([first, second], Dataset.from_pandas(table)):
        for one, two in zip(pipe(rows), expected):
            assert one["relation"] == two["relation"] and one["score"] == pytest.approx(two["score"], abs=1e-5)
        batch = TGDICollator(processor)(list(rows))
        assert batch["image_mask"][:, 0].tolist() == [1, 0]
    assert warned == []


@pytest.mark.parametrize("empty", [None, float("nan")])
def test_preparation_accepts_empty_cells(tmp_path, empty):
    post = {"text": "JFK at Harvard", "head": "JFK", "tail": "Harvard"}
    rows = Dataset.from_list([{**post, **dict.fromkeys(("caption", "objects", "image"), empty)}])
    done = prepare({"train": rows}, tmp_path / "out", cache=tmp_path / "cache", progress=False)
    assert done.faults == []
    assert done.dataset["train"][0]["caption"] is None and done.dataset["train"][0]["objects"] == []


def test_preparation_names_near_misses(tmp_path, image, warned):
    image.save(tmp_path / "a.png")
    post = {"text": "JFK at Harvard", "head": "JFK", "tail": "Harvard"}
    options = {"cache": tmp_path / "cache", "progress": False}
    prepare({"train": Dataset.from_list([{**post, "images": "a.png"}] * 3)}, tmp_path / "one", **options)
    assert len(warned) == 1 and warned[0].startswith("train, row 0: the key 'images' is ignored")
    rows = Dataset.from_list([{**post, "file_name": "a.png"}])
    done = prepare({"train": rows}, tmp_path / "two", image_folder=tmp_path, **options)
    assert done.dataset["train"][0]["image"].size == image.size
    for change, message in (
        (
            {"sentence": "text"},
            r"expected text \(or words\), head and tail \(found `sentence`; did you mean `text`\?\)",
        ),
        ({"subject": "head"}, "found `subject`; did you mean `head`"),
    ):
        wrong = Dataset.from_list([{**post}]).rename_columns({new: old for old, new in change.items()})
        with pytest.raises(ValueError, match=message):
            prepare({"train": wrong}, tmp_path / "three", **options)


def test_hints_follow_the_order_of_the_keys():
    assert hint(["user", "tokens", "tweet"], ("text", "words")) == " (found `tokens`; did you mean `words`?)"
    assert hint(["user"], ("text",)) == ""


def test_files_name_near_misses(tmp_path, warned):
    from tgdi_hf.data.post_stream import read_posts

    lines = [{**POST, "images": "a.png"}, {**POST, "file_name": "a.png"}, {"sentence": "a b", "head": "a", "tail": "b"}]
    (tmp_path / "posts.jsonl").write_text("\n".join(map(json.dumps, lines)))
    first, second, third = read_posts(tmp_path / "posts.jsonl", strict=False)
    assert first["image"] is None and second["image"] == tmp_path / "a.png"
    assert "line 3: the post has no `text` or `words` (found `sentence`; did you mean `text`?)" in str(third)
    assert len(warned) == 1 and "line 1: the key 'images' is ignored" in warned[0]

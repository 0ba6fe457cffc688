import copy
import csv
import json
import os

import pandas
import pytest
from datasets import DatasetDict
from PIL import Image

from tgdi_hf import InvalidPost, predict
from tgdi_hf.data.post_stream import check_posts, read_posts

POST = {"text": "Ann meets Bob", "head": (0, 3), "tail": (10, 13)}


def test_relative_image_paths_start_at_the_folder_of_the_file(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    post = {"text": "Ann meets Bob", "head": [0, 3], "tail": [10, 13], "image": "a.png", "objects": [[0, 0, 4, 4]]}
    (tmp_path / "posts.jsonl").write_text(json.dumps(post) + "\n\n" + json.dumps({**post, "image": None}) + "\n")
    first, second = read_posts(tmp_path / "posts.jsonl")
    assert first["image"] == tmp_path / "a.png"
    assert first["objects"] == [[0, 0, 4, 4]]
    assert second["image"] is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{text: 1}", r"posts.jsonl, line 2: expected a JSON object, found '\{text: 1\}'"),
        ("[1, 2]", "posts.jsonl, line 2: expected an object"),
        ('{"text": "a b"}', "posts.jsonl, line 2: .*head and tail"),
    ],
)
def test_an_invalid_line_is_named(tmp_path, line, message):
    good = json.dumps({"text": "a b", "head": [0, 1], "tail": [2, 3]})
    (tmp_path / "posts.jsonl").write_text(good + "\n" + line + "\n")
    with pytest.raises(ValueError, match=message):
        list(read_posts(tmp_path / "posts.jsonl"))


def test_invalid_posts_can_be_reported_in_place(model, processor, tmp_path):
    posts = [POST, {**POST, "head": (0, 99)}, POST, {**POST, "image": "no.png"}, {**POST, "image": "no.png"}, POST]
    found = list(predict(model, processor, posts, batch_size=3, strict=False))
    assert ["error" in one for one in found] == [False, True, False, True, True, False]
    assert found[1]["error"].startswith("post 1: the span of `head`")
    assert found[4]["error"].startswith("post 4, image, no.png: no such file")
    good = next(predict(model, processor, POST))
    assert found[5]["score"] == pytest.approx(good["score"], abs=1e-6)

    lines = [json.dumps(POST), "{", json.dumps({**POST, "image": "https://example.org/a.png"}), json.dumps(POST)]
    (tmp_path / "posts.jsonl").write_text("\n".join(lines))
    found = list(predict(model, processor, read_posts(tmp_path / "posts.jsonl", strict=False), strict=False))
    assert ["error" in one for one in found] == [False, True, True, False]
    assert "line 2: expected a JSON object" in found[1]["error"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": ""}, r"posts.jsonl, line 1, image is ''; expected the path"),
        ({"image": "http://a.b/c.png"}, r"line 1, image is 'http://a.b/c.png'.*URLs are not fetched"),
        ({"objects": {"x": 1}}, r"line 1: `objects` is \{'x': 1\}; expected a list"),
        ({"objects": ["", [0, 0, 1, 2]]}, r"line 1, object 0 is ''"),
    ],
)
def test_images_that_are_not_paths_are_refused(tmp_path, change, message):
    (tmp_path / "posts.jsonl").write_text(json.dumps({**POST, **change}))
    with pytest.raises(ValueError, match=message):
        list(read_posts(tmp_path / "posts.jsonl"))


def test_prepared_folders_are_streamed(corpus, model, processor, tmp_path):
    rows = corpus["test"].select(range(6))
    rows.remove_columns("label").to_parquet(tmp_path / "posts.parquet")
    DatasetDict(test=rows).save_to_disk(tmp_path / "prepared" / "dataset")
    expected = [one["score"] for one in predict(model, processor, rows)]
    for path in (tmp_path / "posts.parquet", tmp_path / "prepared"):
        found = [one["score"] for one in predict(model, processor, read_posts(path))]
        assert found == pytest.approx(expected, abs=1e-6)


def test_csv_cells_become_values(tmp_path):
    rows = [
        ["id", "text", "head", "tail", "objects", "caption", "entities"],
        ["7", "Ann, meets\nBob", "[0, 3]", "Bob", "[[0, 0, 4, 4]]", "", ""],
        ["8", "Ann meets Bob", "", "", "", "two", '["Ann", [10, 13]]'],
    ]
    with open(tmp_path / "posts.csv", "w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows(rows)
    first, second = read_posts(tmp_path / "posts.csv")
    assert first["text"] == "Ann, meets\nBob"
    assert first["objects"] == [[0, 0, 4, 4]]
    assert first["caption"] is first["entities"] is None
    assert first["where"].endswith("posts.csv, line 3")  # where the row ends
    assert second["entities"] == ["Ann", [10, 13]]


@pytest.mark.parametrize(
    ("row", "field", "message"),
    [
        ("a,b,c,d", "post", "line 2: found 4 cells; expected 3, one per column name"),
        (",Ann,Bob", "text", r"expected text \(or words\), head and tail, found text, head, tail"),
        ("a b,a,", "tail", r"expected head and tail \(or entities\); tail is missing"),
    ],
)
def test_invalid_csv_rows_are_refused(tmp_path, row, field, message):
    (tmp_path / "posts.csv").write_text("text,head,tail\n" + row + "\n")
    with pytest.raises(InvalidPost, match=message) as error:
        list(read_posts(tmp_path / "posts.csv"))
    assert error.value.field == field


def test_an_invalid_json_cell_is_one_invalid_row(tmp_path):
    (tmp_path / "posts.csv").write_text("id,text,head,tail,objects\n1,a b,a,b,none\n2,a b,a,b,\n")
    bad, good = read_posts(tmp_path / "posts.csv", strict=False)
    assert (bad.id, bad.field) == ("1", "objects")
    assert good["objects"] is None


def test_invalid_utf_8_is_an_error_of_its_row(tmp_path, model, processor):
    (tmp_path / "posts.jsonl").write_bytes(
        b'{"text": "\xff", "head": [0, 1], "tail": [0, 1]}\n' + json.dumps(POST).encode()
    )
    (tmp_path / "posts.csv").write_bytes(b"text,head,tail\na \xff b,a,b\na b,a,b\n")
    for name in ("posts.jsonl", "posts.csv"):
        bad, good = predict(model, processor, read_posts(tmp_path / name, strict=False), strict=False)
        assert "error" in bad and "relation" in good


def test_ids_are_kept(tmp_path):
    from datetime import date
    from decimal import Decimal

    table = {"id": [Decimal("1.5"), None], "text": ["a b", "a b"], "head": ["a", "a"], "tail": ["b", "c"]}
    pandas.DataFrame({**table, "day": [date(2020, 1, 1)] * 2}).to_parquet(tmp_path / "posts.parquet")
    assert [post["id"] for post in read_posts(tmp_path / "posts.parquet")] == ["1.5", None]
    lines = [{**POST, "id": "x", "image": "http://a.b/c"}, {"id": 5, "text": "a"}, {"id": float("nan"), **POST}]
    (tmp_path / "posts.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    url, nobody, good = read_posts(tmp_path / "posts.jsonl", strict=False)
    assert (url.id, nobody.id, good["id"]) == ("x", 5, None)


def test_unusual_values_are_errors_of_their_row(tmp_path, model, processor):
    processor = copy.copy(processor)
    odd = [
        {"image": {"bytes": "aGVs"}},
        {"image": {"bytes": [1]}},
        {"head": "[0, \u0663]"},
        {"head": "[0, " + "9" * 5000 + "]"},
        {"image": "pipe"},
        {"image": "posts.jsonl", "objects": [[0, 0, 10**400, 1]]},
        {"head": "N" * 10**6},
        {"text": "[00, 03]", "head": "[00, 03]", "tail": "[04, 06]"},
    ]
    os.mkfifo(tmp_path / "pipe")
    processor.num_objects = 3
    (tmp_path / "posts.jsonl").write_text("\n".join(json.dumps({**POST, **change}) for change in odd))
    found = list(predict(model, processor, read_posts(tmp_path / "posts.jsonl", strict=False), strict=False))
    assert [one.get("field") for one in found] == ["image", "image", "head", "head", "image", "objects", "head", None]
    assert max(len(one.get("error", "")) for one in found) < 400 + len(str(tmp_path))


def test_csv_entities_can_have_types(tmp_path):
    row = ["Ann meets Bob", '{"start": 0, "end": 3, "type": "PER"}', "Bob"]
    with open(tmp_path / "posts.csv", "w", newline="") as file:
        csv.writer(file).writerows([["text", "head", "tail"], row])
    (post,) = read_posts(tmp_path / "posts.csv")
    assert post["head"]["type"] == "PER"


def test_rows_can_be_skipped(tmp_path):
    (tmp_path / "posts.jsonl").write_text("\n".join(json.dumps({**POST, "id": i}) for i in range(5)))
    assert [post["id"] for post in read_posts(tmp_path / "posts.jsonl", start=3)] == [3, 4]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl.gz", b"{}", "is damaged, or was not compressed with gzip"),
        ("a.json", b'{"posts": [{"text": "a b"}]}', "has the posts under 'posts'"),
        ("a.xlsx", b"PK", "expected a .jsonl, .csv or .parquet file"),
        ("a.parquet", b"{}", "a.parquet can't be read as Parquet"),
        ("a.csv", "text".encode("utf-16"), "is in UTF-16"),
        ("a.csv", b"text;head;tail\na;b;c", "semicolons"),
        ("a.json", b"[{]", "item 0 is not JSON"),
    ],
)
def test_an_unreadable_file_is_refused_by_its_first_row(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        check_posts(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"{\n", b"5", json.dumps(POST).encode()])
def test_invalid_rows_do_not_make_a_file_unreadable(tmp_path, content):
    (tmp_path / "a.jsonl").write_bytes(content)
    check_posts(tmp_path / "a.jsonl")

import copy
import csv
import json
import os
from pathlib import Path

import pandas
import pyarrow.parquet as parquet
import pytest
from datasets import DatasetDict
from PIL import Image

from tgdi_hf import InvalidPost, predict
from tgdi_hf.data.post_files import RowWriter, check_output, check_posts, read_posts

POST = {"text": "Ann meets Bob", "head": (0, 3), "tail": (10, 13)}


def test_json_lines_with_images_beside_them(tmp_path):
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
def test_a_bad_line_is_named(tmp_path, line, message):
    good = json.dumps({"text": "a b", "head": [0, 1], "tail": [2, 3]})
    (tmp_path / "posts.jsonl").write_text(good + "\n" + line + "\n")
    with pytest.raises(ValueError, match=message):
        list(read_posts(tmp_path / "posts.jsonl"))


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"top_k": 0}])
def test_impossible_sizes_are_refused_at_once(model, processor, options):
    with pytest.raises(ValueError, match="expected 1 or more"):
        predict(model, processor, [POST], **options)


def test_a_bad_post_goes_by_its_number_among_all(model, processor):
    posts = [POST] * 5 + [{**POST, "head": (0, 99)}] + [POST] * 3
    relations = predict(model, processor, posts, batch_size=2)
    assert len([next(relations) for _ in range(4)]) == 4
    with pytest.raises(ValueError, match="^post 5: the span of `head`"):
        next(relations)


def test_bad_posts_can_be_reported_in_their_place(model, processor, tmp_path):
    posts = [POST, {**POST, "head": (0, 99)}, POST, {**POST, "image": "no.png"}, {**POST, "image": "no.png"}, POST]
    found = list(predict(model, processor, posts, batch_size=3, strict=False))
    assert ["error" in one for one in found] == [False, True, False, True, True, False]
    assert found[1]["error"].startswith("post 1: the span of `head`")
    assert found[4]["error"].startswith("post 4, image, no.png: there is no such file")
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
def test_images_that_are_no_paths_are_refused(tmp_path, change, message):
    (tmp_path / "posts.jsonl").write_text(json.dumps({**POST, **change}))
    with pytest.raises(ValueError, match=message):
        list(read_posts(tmp_path / "posts.jsonl"))


def test_prepared_posts_are_posts(corpus, model, processor, tmp_path):
    rows = corpus["test"].select(range(6))
    rows.remove_columns("label").to_parquet(tmp_path / "posts.parquet")
    DatasetDict(test=rows).save_to_disk(tmp_path / "prepared" / "dataset")
    expected = [one["score"] for one in predict(model, processor, rows)]
    for path in (tmp_path / "posts.parquet", tmp_path / "prepared"):
        found = [one["score"] for one in predict(model, processor, read_posts(path))]
        assert found == pytest.approx(expected, abs=1e-6)


def test_cells_of_csv_files_are_values(tmp_path):
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
        ("a,b,c,d", "post", "line 2 has 1 cells more"),
        (",Ann,Bob", "text", r"expected text \(or words\), head and tail, found text, head, tail"),
        ("a b,a,", "tail", r"expected head and tail \(or entities\); there is no tail"),
    ],
)
def test_bad_rows_of_csv_files(tmp_path, row, field, message):
    (tmp_path / "posts.csv").write_text("text,head,tail\n" + row + "\n")
    with pytest.raises(InvalidPost, match=message) as error:
        list(read_posts(tmp_path / "posts.csv"))
    assert error.value.field == field


def test_cells_that_should_be_json(tmp_path):
    (tmp_path / "posts.csv").write_text("id,text,head,tail,objects\n1,a b,a,b,none\n2,a b,a,b,\n")
    bad, good = read_posts(tmp_path / "posts.csv", strict=False)
    assert (bad.id, bad.field) == ("1", "objects")
    assert good["objects"] is None


def test_bytes_that_are_no_text_are_the_fault_of_their_row(tmp_path, model, processor):
    (tmp_path / "posts.jsonl").write_bytes(
        b'{"text": "\xff", "head": [0, 1], "tail": [0, 1]}\n' + json.dumps(POST).encode()
    )
    (tmp_path / "posts.csv").write_bytes(b"text,head,tail\na \xff b,a,b\na b,a,b\n")
    for name in ("posts.jsonl", "posts.csv"):
        bad, good = predict(model, processor, read_posts(tmp_path / name, strict=False), strict=False)
        assert "error" in bad and "relation" in good


def test_a_quote_that_is_never_closed_is_no_row(tmp_path):
    good = "".join(f"{i},a b,a,b\n" for i in range(9))
    (tmp_path / "posts.csv").write_text("id,text,head,tail\n" + good + '9,"a b,a,b\n' + good)
    posts = read_posts(tmp_path / "posts.csv", strict=False)
    assert len([next(posts) for _ in range(9)]) == 9
    with pytest.raises(ValueError, match=r"line 11: a quote that is opened here is never closed") as error:
        next(posts)
    assert not isinstance(error.value, InvalidPost)  # it is about all that follows
    (tmp_path / "posts.csv").write_text('id,text,head,tail\n1,"a" b,a,b\n2,a b,a,b\n')
    bad, after = read_posts(tmp_path / "posts.csv", strict=False)
    assert "lines 2 to 2" in str(bad) and after["id"] == "2"


def test_a_cell_without_end_is_one_bad_row(tmp_path, monkeypatch):
    monkeypatch.setattr("tgdi_hf.data.post_files.LONGEST_CELL", 60)
    good = "".join(f"{i},a b,a,b\n" for i in range(9))
    (tmp_path / "posts.csv").write_text("id,text,head,tail\n" + good + '9,"a b,a,b\n' + good)
    found = list(read_posts(tmp_path / "posts.csv", strict=False))
    bad = [one for one in found if isinstance(one, InvalidPost)]
    assert "lines 11 to " in str(bad[0]) and "a quote opened and never closed?" in str(bad[0])
    assert len(found) > 12  # it goes on behind it


def test_posts_keep_their_names(tmp_path):
    from datetime import date
    from decimal import Decimal

    table = {"id": [Decimal("1.5"), None], "text": ["a b", "a b"], "head": ["a", "a"], "tail": ["b", "c"]}
    pandas.DataFrame({**table, "day": [date(2020, 1, 1)] * 2}).to_parquet(tmp_path / "posts.parquet")
    assert [post["id"] for post in read_posts(tmp_path / "posts.parquet")] == ["1.5", None]
    lines = [{**POST, "id": "x", "image": "http://a.b/c"}, {"id": 5, "text": "a"}, {"id": float("nan"), **POST}]
    (tmp_path / "posts.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    url, nobody, good = read_posts(tmp_path / "posts.jsonl", strict=False)
    assert (url.id, nobody.id, good["id"]) == ("x", 5, None)


def test_whatever_stands_in_a_row_is_the_rows_own_fault(tmp_path, model, processor):
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


def test_entities_of_csv_files_can_have_types(tmp_path):
    row = ["Ann meets Bob", '{"start": 0, "end": 3, "type": "PER"}', "Bob"]
    with open(tmp_path / "posts.csv", "w", newline="") as file:
        csv.writer(file).writerows([["text", "head", "tail"], row])
    (post,) = read_posts(tmp_path / "posts.csv")
    assert post["head"]["type"] == "PER"


def test_cells_with_line_ends_stay_cells(tmp_path):
    writer = RowWriter(tmp_path / "a.csv", {"text": str})
    writer.write([{"text": "a\rb"}, {"text": "a\nb"}])
    writer.finish()
    with (tmp_path / "a.csv").open(newline="") as file:
        assert [row["text"] for row in csv.DictReader(file)] == ["a\rb", "a\nb"]


def test_rows_can_be_skipped(tmp_path):
    (tmp_path / "posts.jsonl").write_text("\n".join(json.dumps({**POST, "id": i}) for i in range(5)))
    assert [post["id"] for post in read_posts(tmp_path / "posts.jsonl", start=3)] == [3, 4]


def test_files_of_another_kind_are_refused(tmp_path):
    (tmp_path / "posts.txt").write_text("Ann")
    with pytest.raises(ValueError, match=r"posts.txt: expected a .jsonl, .csv or .parquet file"):
        list(read_posts(tmp_path / "posts.txt"))
    with pytest.raises(ValueError, match=r"out.txt: expected a name that ends in"):
        RowWriter(tmp_path / "out.txt", {})


COLUMNS = {"id": str, "score": float, "parts": str}
ROWS = [{"id": i, "score": i / 2, "parts": [{"é": i}], "other": 1} for i in range(6)]


def read_back(path):
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    if path.suffix == ".csv":
        return list(csv.DictReader(path.open(newline="")))
    return parquet.read_table(path).to_pylist()


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_what_comes_after_the_position_is_forgotten(tmp_path, suffix):
    whole, cut = tmp_path / f"whole{suffix}", tmp_path / f"cut{suffix}"
    writer = RowWriter(whole, COLUMNS)
    for start in (0, 2, 4):
        writer.write(ROWS[start : start + 2])
    writer.finish()
    position = RowWriter(cut, COLUMNS).write(ROWS[:2])
    RowWriter(cut, COLUMNS, position).write(ROWS[3:])  # and somebody pulls the plug
    writer = RowWriter(cut, COLUMNS, position)
    writer.write(ROWS[2:4])
    writer.write(ROWS[4:])
    writer.finish()
    writer.discard()
    assert cut.read_bytes() == whole.read_bytes()
    found = read_back(cut)
    assert len(found) == 6
    if suffix == ".jsonl":
        assert found == ROWS
    else:
        assert found[3]["id"] == "3" and float(found[3]["score"]) == 1.5 and found[3]["parts"] == '[{"é": 3}]'
        assert "other" not in found[3]
    assert [*tmp_path.glob("cut*.part")] == []


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_a_file_of_no_rows(tmp_path, suffix):
    writer = RowWriter(tmp_path / f"none{suffix}", COLUMNS)
    writer.finish()
    assert read_back(tmp_path / f"none{suffix}") == []


def test_a_part_that_lost_its_end_is_not_gone_on_with(tmp_path):
    (tmp_path / "a.jsonl.part").write_text("{}\n")
    with pytest.raises(ValueError, match="has 3 bytes, and had 10"):
        RowWriter(tmp_path / "a.jsonl", {}, 10)


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
def test_a_file_that_can_not_be_read_is_refused_by_its_beginning(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        check_posts(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"{\n", b"5", json.dumps(POST).encode()])
def test_rows_that_are_no_posts_are_not_the_files_fault(tmp_path, content):
    (tmp_path / "a.jsonl").write_bytes(content)
    check_posts(tmp_path / "a.jsonl")


@pytest.mark.parametrize("name", ["a.txt", "a", "a.nt", "a.csv.gz"])
def test_a_kind_of_output_that_is_not_written(name):
    with pytest.raises(ValueError, match=r"expected a name that ends in \.jsonl, \.csv or \.parquet"):
        check_output(Path(name))
    check_output(Path("a.NT"), ".nt")

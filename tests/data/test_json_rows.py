import codecs
import gzip
import io
import json
import tracemalloc

import pytest

from tgdi_hf import InvalidPost
from tgdi_hf.data import json_rows
from tgdi_hf.data.post_files import read_posts
from tgdi_hf.data.posts import read_table
from tgdi_hf.inference.bulk_prediction import predict_file

POSTS = [{"text": f"Ann meets Bob {i} times", "head": [0, 3], "tail": "Bob", "id": i} for i in range(3)]
LINES = "".join(json.dumps(post) + "\n" for post in POSTS)
FORMS = {
    "lines": LINES,
    "array": json.dumps(POSTS),
    "array with a line end": json.dumps(POSTS) + "\n",
    "pretty array": json.dumps(POSTS, indent=2),
    "array of lines": "[\n" + ",\n".join(map(json.dumps, POSTS)) + "\n]\n",
    "spaced array": "\n\n  [ " + " ,\n\t".join(map(json.dumps, POSTS)) + " ] \n ",
    "pretty objects": "\n".join(json.dumps(post, indent=1) for post in POSTS),
    "objects on one line": LINES.replace("\n", "\n\n"),
}


@pytest.fixture(params=[8, json_rows.CHUNK])
def chunk(request, monkeypatch):
    """What is read at once must not matter."""
    monkeypatch.setattr(json_rows, "CHUNK", request.param)


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_posts(tmp_path, chunk, form, mark):
    text = FORMS[form].encode()
    (tmp_path / "posts.json").write_bytes(mark + text)
    (tmp_path / "posts.json.gz").write_bytes(gzip.compress(mark + text))
    for name in ("posts.json", "posts.json.gz"):
        found = list(read_posts(tmp_path / name))
        assert [post["id"] for post in found] == [0, 1, 2]
        assert [post["text"] for post in found] == [post["text"] for post in POSTS]
        assert [post["id"] for post in read_posts(tmp_path / name, start=2)] == [2]
        table = read_table(tmp_path / name, cache_dir=tmp_path / "hf")["train"]
        assert table["text"][:] == [post["text"] for post in POSTS] and table["id"][:] == [0, 1, 2]


@pytest.mark.parametrize("indent", [None, 2])
def test_one_object_is_one_post(tmp_path, chunk, indent):
    (tmp_path / "post.json").write_text(json.dumps(POSTS[0], indent=indent))
    (post,) = read_posts(tmp_path / "post.json")
    assert post["id"] == 0
    assert read_table(tmp_path / "post.json", cache_dir=tmp_path / "hf")["train"].num_rows == 1


def test_items_are_named_with_their_line(tmp_path, chunk):
    (tmp_path / "posts.json").write_text(json.dumps([*POSTS, {"text": "a b"}, 7], indent=1))
    *good, lacking, number = read_posts(tmp_path / "posts.json", strict=False)
    assert [post["where"].partition(", ")[2] for post in good] == [
        "item 0 (line 2)",
        "item 1 (line 11)",
        "item 2 (line 20)",
    ]
    assert "posts.json, item 3 (line 29): expected head and tail" in str(lacking)
    assert "posts.json, item 4 (line 32): expected an object with text, head and tail, found 7" in str(number)


@pytest.mark.parametrize(
    ("text", "rows", "message"),
    [
        ('[{"text": oh}]', 0, r"posts.json, line 1: item 0 is not JSON: Expecting value, found 'oh}]'"),
        (json.dumps(POSTS, indent=1)[:-20], 2, r"posts.json, line \d+: item 2 is not JSON"),
        ("[" + json.dumps(POSTS[0]), 1, "line 1: expected ',' or ']' after item 0, the file ends"),
        ("[" + json.dumps(POSTS[0]) + "\n{}]", 1, "line 2: expected ',' or ']' after item 0, found '{'"),
        ("[" + json.dumps(POSTS[0]) + "\n]]", 1, "line 2: expected nothing after the end of the array, found ']'"),
        (json.dumps(POSTS[0], indent=1) + "\n{", 1, "item 1 is not JSON"),
        ("[" * 100_000, 0, "nested too deeply"),
    ],
)  # fmt: skip
def test_an_array_that_breaks_off_is_read_up_to_there(tmp_path, chunk, text, rows, message):
    (tmp_path / "posts.json").write_text(text)
    posts = read_posts(tmp_path / "posts.json", strict=False)
    assert len([next(posts) for _ in range(rows)]) == rows
    with pytest.raises(ValueError, match=message) as error:
        next(posts)
    assert not isinstance(error.value, InvalidPost)  # it is about all that follows


@pytest.mark.parametrize("first", ["{", "[1, 2]", '{"text": "a",', '{"text": "a', "}", '{"text": [', "\udcff{"])
def test_a_bad_first_line_of_json_lines_is_one_bad_row(tmp_path, chunk, first):
    (tmp_path / "posts.jsonl").write_bytes(first.encode("utf-8", "surrogateescape") + b"\n" + LINES.encode())
    bad, *good = read_posts(tmp_path / "posts.jsonl", strict=False)
    assert "posts.jsonl, line 1: expected" in str(bad)
    assert [post["where"].partition(", ")[2] for post in good] == ["line 2", "line 3", "line 4"]


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("wrapper", [{"data": POSTS}, {"version": 1, "rows": POSTS}])
def test_an_object_that_wraps_posts_is_refused_with_the_way_out(tmp_path, chunk, wrapper, indent):
    (tmp_path / "posts.json").write_text(json.dumps(wrapper, indent=indent))
    message = rf"under {[*wrapper][-1]!r}; expected the posts themselves.*jq -c '\.\[\"{[*wrapper][-1]}\"\]\[\]'"
    with pytest.raises(ValueError, match=message):
        list(read_posts(tmp_path / "posts.json", strict=False))
    with pytest.raises(ValueError, match=message):
        read_table(tmp_path / "posts.json", cache_dir=tmp_path / "hf")


def test_entities_are_no_wrapped_posts(tmp_path):
    post = {"text": "a b", "entities": [{"text": "a"}, {"text": "b"}], "meta": [{"text": "c"}]}
    (tmp_path / "posts.json").write_text(json.dumps(post))
    assert len(next(read_posts(tmp_path / "posts.json"))["entities"]) == 2


def test_nan_is_an_empty_cell(tmp_path):
    posts = [{**POSTS[0], "image": float("nan"), "caption": float("nan")}, POSTS[1]]
    for name, text in (("a.jsonl", "\n".join(map(json.dumps, posts))), ("b.json", json.dumps(posts))):
        (tmp_path / name).write_text(text)
        assert next(read_posts(tmp_path / name))["image"] is None
        table = read_table(tmp_path / name, cache_dir=tmp_path / "hf")["train"]
        assert table[0]["image"] is None and table.num_rows == 2


@pytest.mark.parametrize("name", ["posts.json", "posts.jsonl", "posts.csv"])
def test_other_encodings_are_named(tmp_path, name):
    text = "text,head,tail\na b,a,b\n" if name.endswith("csv") else LINES
    for encoding in ("utf-16", "utf-16-be"):
        mark = codecs.BOM_UTF16_BE if encoding == "utf-16-be" else b""
        (tmp_path / name).write_bytes(mark + text.encode(encoding))
        with pytest.raises(ValueError, match=f"{name} is in UTF-16; expected UTF-8"):
            list(read_posts(tmp_path / name, strict=False))


@pytest.mark.parametrize("name", ["posts.jsonl.gz", "posts.csv.gz"])
def test_compressed_files(tmp_path, name):
    text = "text,head,tail\na b,a,b\n" * 1 if "csv" in name else LINES
    packed = gzip.compress(text.encode())
    (tmp_path / name).write_bytes(packed)
    assert (
        len(list(read_posts(tmp_path / name)))
        == read_table(tmp_path / name, cache_dir=tmp_path / "hf")["train"].num_rows
    )
    for broken in (packed[:-12], b"no gzip"):
        (tmp_path / name).write_bytes(broken)
        with pytest.raises(ValueError, match=f"{name} is damaged, or was not compressed with gzip"):
            list(read_posts(tmp_path / name, strict=False))


@pytest.mark.parametrize("name", ["posts.parquet.gz", "posts.jsonl.zip", "posts.gz", "posts.jsonl.bz2"])
def test_other_archives_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    for read in (lambda path: list(read_posts(path)), read_table):
        with pytest.raises(ValueError, match=rf"{name}: expected a \.jsonl, \.csv or \.parquet file"):
            read(tmp_path / name)


def test_a_long_array_is_read_at_constant_memory():
    def text():
        yield b"["
        for number in range(40_000):
            yield b", " * bool(number) + json.dumps({"text": "x" * 400, "id": number}).encode()
        yield b"]"

    file = io.BytesIO(b"".join(text()))
    tracemalloc.start()
    count = sum(1 for _ in json_rows.json_rows(file, "posts.json"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 40_000 and file.tell() > 16e6
    assert peak < 9e6


def test_a_run_over_an_array_is_resumed(pipe, tmp_path):
    (tmp_path / "posts.json").write_text(json.dumps(POSTS * 4, indent=1))
    whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    predict_file(pipe, tmp_path / "posts.json", whole, batch_size=2, rows_between_saves=2)

    def interrupted(posts, **options):
        for number, result in enumerate(pipe(posts, **options)):
            if number == 5:
                raise KeyboardInterrupt
            yield result

    with pytest.raises(KeyboardInterrupt):
        predict_file(interrupted, tmp_path / "posts.json", cut, batch_size=2, rows_between_saves=2)
    predict_file(pipe, tmp_path / "posts.json", cut, resume=True, batch_size=2, rows_between_saves=2)
    assert cut.read_text() == whole.read_text() and len(cut.read_text().splitlines()) == 12

import codecs
import gzip
import io
import json
import tracemalloc

import pytest

from tgdi_hf import InvalidPost
from tgdi_hf.data import json_rows
from tgdi_hf.data.loading import read_table
from tgdi_hf.data.post_stream import read_posts
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
    """The results must not depend on the number of bytes per read."""
    monkeypatch.setattr(json_rows, "CHUNK", request.param)


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_yields_the_same_posts(tmp_path, chunk, form, mark):
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


def test_items_are_named_by_number_and_line(tmp_path, chunk):
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
def test_an_invalid_array_is_read_up_to_the_error(tmp_path, chunk, text, rows, message):
    (tmp_path / "posts.json").write_text(text)
    posts = read_posts(tmp_path / "posts.json", strict=False)
    assert len([next(posts) for _ in range(rows)]) == rows
    with pytest.raises(ValueError, match=message) as error:
        next(posts)
    assert not isinstance(error.value, InvalidPost)  # an error of the file, not of one row


@pytest.mark.parametrize("first", ["{", "[1, 2]", '{"text": "a",', '{"text": "a', "}", '{"text": [', "\udcff{"])
def test_an_invalid_first_line_of_json_lines_is_one_invalid_row(tmp_path, chunk, first):
    (tmp_path / "posts.jsonl").write_bytes(first.encode("utf-8", "surrogateescape") + b"\n" + LINES.encode())
    bad, *good = read_posts(tmp_path / "posts.jsonl", strict=False)
    assert "posts.jsonl, line 1: expected" in str(bad)
    assert [post["where"].partition(", ")[2] for post in good] == ["line 2", "line 3", "line 4"]


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("wrapper", [{"data": POSTS}, {"version": 1, "rows": POSTS}])
def test_an_object_that_wraps_posts_is_refused_with_a_fix(tmp_path, chunk, wrapper, indent):
    (tmp_path / "posts.json").write_text(json.dumps(wrapper, indent=indent))
    message = rf"under {[*wrapper][-1]!r}; expected the posts themselves.*jq -c '\.\[\"{[*wrapper][-1]}\"\]\[\]'"
    with pytest.raises(ValueError, match=message):
        list(read_posts(tmp_path / "posts.json", strict=False))
    with pytest.raises(ValueError, match=message):
        read_table(tmp_path / "posts.json", cache_dir=tmp_path / "hf")


def test_entities_are_not_wrapped_posts(tmp_path):
    post = {"text": "a b", "entities": [{"text": "a"}, {"text": "b"}], "meta": [{"text": "c"}]}
    (tmp_path / "posts.json").write_text(json.dumps(post))
    assert len(next(read_posts(tmp_path / "posts.json"))["entities"]) == 2


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

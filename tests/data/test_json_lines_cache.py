import json

import pytest

from tgdi_hf.data.json_lines_cache import as_json_lines
from tgdi_hf.data.loading import read_table
from tgdi_hf.data.post_stream import read_posts

POSTS = [{"text": f"Ann meets Bob {i} times", "head": [0, 3], "tail": "Bob", "id": i} for i in range(2)]


def test_nan_is_a_missing_value(tmp_path):
    posts = [{**POSTS[0], "image": float("nan"), "caption": float("nan")}, POSTS[1]]
    for name, text in (("a.jsonl", "\n".join(map(json.dumps, posts))), ("b.json", json.dumps(posts))):
        (tmp_path / name).write_text(text)
        assert next(read_posts(tmp_path / name))["image"] is None
        table = read_table(tmp_path / name, cache_dir=tmp_path / "hf")["train"]
        assert table[0]["image"] is None and table.num_rows == 2


def test_json_lines_are_used_in_place_and_an_array_is_converted_once(tmp_path):
    lines = tmp_path / "posts.jsonl"
    lines.write_text("".join(json.dumps(post) + "\n" for post in POSTS))
    assert as_json_lines(lines, tmp_path / "cache") == lines
    array = tmp_path / "posts.json"
    array.write_text(json.dumps(POSTS))
    converted = as_json_lines(array, tmp_path / "cache")
    assert converted.read_text() == lines.read_text()
    written = converted.stat().st_mtime_ns
    assert as_json_lines(array, tmp_path / "cache") == converted and converted.stat().st_mtime_ns == written
    array.write_text(json.dumps(POSTS[:1]))
    assert as_json_lines(array, tmp_path / "cache") != converted


def test_a_failed_conversion_leaves_nothing_behind(tmp_path):
    (tmp_path / "posts.json").write_text(json.dumps([*POSTS, 7]))
    with pytest.raises(ValueError, match=r"posts.json, item 2 \(line 1\): expected an object .*, found 7"):
        as_json_lines(tmp_path / "posts.json", tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())

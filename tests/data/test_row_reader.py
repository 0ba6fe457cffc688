import codecs
import gzip
import json

import pytest

from tgdi_hf.data.loading import read_table
from tgdi_hf.data.post_stream import read_posts

LINES = "".join(json.dumps({"text": "Ann meets Bob", "head": [0, 3], "tail": "Bob", "id": i}) + "\n" for i in range(3))


def test_other_formats_are_refused(tmp_path):
    (tmp_path / "posts.txt").write_text("Ann")
    with pytest.raises(ValueError, match=r"posts.txt: expected a .jsonl, .csv or .parquet file"):
        list(read_posts(tmp_path / "posts.txt"))


@pytest.mark.parametrize("name", ["posts.json", "posts.jsonl", "posts.csv"])
def test_utf_16_is_refused(tmp_path, name):
    text = "text,head,tail\na b,a,b\n" if name.endswith("csv") else LINES
    for encoding in ("utf-16", "utf-16-be"):
        mark = codecs.BOM_UTF16_BE if encoding == "utf-16-be" else b""
        (tmp_path / name).write_bytes(mark + text.encode(encoding))
        with pytest.raises(ValueError, match=f"{name} is in UTF-16; expected UTF-8"):
            list(read_posts(tmp_path / name, strict=False))


@pytest.mark.parametrize("name", ["posts.jsonl.gz", "posts.csv.gz"])
def test_compressed_files_are_read(tmp_path, name):
    text = "text,head,tail\na b,a,b\n" if "csv" in name else LINES
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

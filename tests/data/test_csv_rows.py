import csv
import io

import pytest

from tgdi_hf import InvalidPost
from tgdi_hf.data.loading import read_table
from tgdi_hf.data.post_stream import read_posts

POST = {"text": "Ann meets Bob", "head": "Ann", "tail": "Bob", "relation": "/per/per/peer"}


def test_an_unclosed_quote_ends_the_file_with_an_error(tmp_path):
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


def test_a_cell_that_exceeds_the_limit_is_one_invalid_row(tmp_path, monkeypatch):
    monkeypatch.setattr("tgdi_hf.data.csv_rows.LONGEST_CELL", 60)
    good = "".join(f"{i},a b,a,b\n" for i in range(9))
    (tmp_path / "posts.csv").write_text("id,text,head,tail\n" + good + '9,"a b,a,b\n' + good)
    found = list(read_posts(tmp_path / "posts.csv", strict=False))
    bad = [one for one in found if isinstance(one, InvalidPost)]
    assert "lines 11 to " in str(bad[0]) and "a quote opened and never closed?" in str(bad[0])
    assert len(found) > 12  # reading continues after it


@pytest.mark.parametrize(("separator", "name"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_the_separator_of_a_file_without_commas_is_named(tmp_path, separator, name):
    lines = io.StringIO()
    csv.writer(lines, delimiter=separator).writerows([POST, POST.values()])
    (tmp_path / "posts.csv").write_text(lines.getvalue())
    with pytest.raises(ValueError, match=f"posts.csv, line 1: there is one column.*{name} separate"):
        list(read_posts(tmp_path / "posts.csv", strict=False))
    with pytest.raises(ValueError, match=f"posts.csv, line 1: there is one column.*{name} separate"):
        read_table(tmp_path / "posts.csv", cache_dir=tmp_path / "hf")


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_another_encoding_is_named(tmp_path, encoding):
    (tmp_path / "posts.csv").write_bytes("text,head,tail\nZoë meets Bob,Zoë,Bob\n".encode(encoding))
    with pytest.raises(ValueError, match="posts.csv is in another encoding than UTF-8"):
        read_table(tmp_path / "posts.csv", cache_dir=tmp_path / "hf")

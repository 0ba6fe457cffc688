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
    with pytest.raises(ValueError, match=r"line 11: a quote opened here is never closed") as error:
        next(posts)
    assert not isinstance(error.value, InvalidPost)  # an error of the file, not of one row
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
    with pytest.raises(ValueError, match=f"posts.csv, line 1: found one column.*separated by {name}"):
        list(read_posts(tmp_path / "posts.csv", strict=False))
    with pytest.raises(ValueError, match=f"posts.csv, line 1: found one column.*separated by {name}"):
        read_table(tmp_path / "posts.csv", cache_dir=tmp_path / "hf")


@pytest.mark.parametrize(("encoding", "message"), [("latin-1", "is not encoded in UTF-8"), ("utf-16", "is in UTF-16")])
def test_another_encoding_is_refused(tmp_path, encoding, message):
    (tmp_path / "posts.csv").write_bytes("text,head,tail\nZoë meets Bob,Zoë,Bob\n".encode(encoding))
    with pytest.raises(ValueError, match=f"posts.csv {message}"):
        read_table(tmp_path / "posts.csv", cache_dir=tmp_path / "hf")


ROW = "Ann meets Bob,Ann,Bob\n"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (ROW * 2 + "Ann meets Bob,Ann,Bob,x\n", "line 4: found 4 cells; expected 3, one per column name"),
        # pandas would take the first cell of every row for an index, and shift the others by one column.
        ("Ann meets Bob,Ann,Bob,x\n" * 2, "line 2: found 4 cells; expected 3, one per column name"),
        (ROW + '"Ann" meets Bob,Ann,Bob\n', "lines 3 to 3: .* Double the quotes inside a cell"),
        (ROW + '"Ann meets Bob,Ann,Bob\n' + ROW, "line 3: a quote opened here is never closed"),
    ],
)
def test_an_invalid_row_is_named_wherever_it_is_read(tmp_path, rows, message):
    (tmp_path / "posts.csv").write_text("text,head,tail\n" + rows)
    with pytest.raises(ValueError, match=rf"posts\.csv, {message}"):
        list(read_posts(tmp_path / "posts.csv"))
    with pytest.raises(ValueError, match=rf"posts\.csv, {message}"):
        read_table(tmp_path / "posts.csv", cache_dir=tmp_path / "hf")


def test_columns_of_a_dataset_have_types(tmp_path):
    (tmp_path / "posts.csv").write_text("id,text,relevance,relation,checked\n7,NA,0.5,None,True\n8,b,,None,False\n")
    rows = read_table(tmp_path / "posts.csv", cache_dir=tmp_path / "hf")["train"]
    assert rows[:] == {
        "id": [7, 8],
        "text": ["NA", "b"],
        "relevance": [0.5, None],
        "relation": ["None", "None"],
        "checked": [True, False],
    }

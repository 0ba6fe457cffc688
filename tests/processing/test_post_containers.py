from collections import namedtuple

import pandas
import pyarrow
import pytest
from datasets import Dataset, DatasetDict

from tgdi_hf import InvalidPost, TGDICollator, undecoded

POST = {"text": "Ann meets Bob", "head": "Ann", "tail": "Bob"}
FRAME = pandas.DataFrame([POST, POST])
ROWS = Dataset.from_list([POST, POST])
Row = namedtuple("Row", POST)


@pytest.mark.parametrize(
    ("posts", "hint"),
    [
        (FRAME, r"a DataFrame; expected .*to_dict\('records'\)"),
        (FRAME.iloc[0], r"a Series; expected a mapping: `row\.to_dict\(\)`"),
        (pyarrow.Table.from_pandas(FRAME), r"a Table; expected .*to_pylist"),
        (Row(**POST), r"a Row; expected a mapping: `row\._asdict\(\)`"),
        (FRAME.itertuples(), r"post 0 is a Pandas.* expected a mapping: `row\._asdict\(\)`"),
        (ROWS.with_format("pandas"), r"post 0 is a DataFrame.*with_format\(None\)"),
        (ROWS.with_format("arrow"), r"post 0 is a Table.*with_format\(None\)"),
        (ROWS[:2], "columns of several posts: pass a list"),
        (ROWS.with_format("numpy")[:2], "columns of several posts: pass a list"),
        (DatasetDict(test=ROWS), r"splits of a dataset: pass one, such as `dataset\['test'\]`"),
        ([[POST]], "post 0 is .*; expected a mapping with text"),
    ],
)
def test_errors_explain_the_conversion_to_posts(pipe, posts, hint):
    with pytest.raises(InvalidPost, match=hint):
        list(pipe(posts))


@pytest.mark.parametrize("kind", [None, "torch", "numpy"])
def test_formatted_rows_are_accepted(pipe, kind):
    assert [one["relation"] for one in pipe(ROWS.with_format(kind))] == [one["relation"] for one in pipe([POST, POST])]


@pytest.mark.parametrize("kind", ["pandas", "arrow"])
def test_formats_of_tables_in_training(processor, kind):
    rows = ROWS.with_format(kind)
    with pytest.raises(InvalidPost, match=r"Row 0 of the batch is a .*with_format\(None\)"):
        TGDICollator(processor)([rows[0]])
    plain = undecoded(rows)
    assert plain[0] == POST
    assert undecoded(ROWS.with_format(kind, columns=["text"]))[0] == {"text": POST["text"]}

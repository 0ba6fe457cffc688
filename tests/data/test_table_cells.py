import pytest

from tgdi_hf import InvalidPost
from tgdi_hf.data.table_cells import is_url, json_cell, objects_cell


def test_json_cells_are_parsed():
    assert json_cell('["Ann", [10, 13]]', "row 0", "entities") == ["Ann", [10, 13]]
    with pytest.raises(InvalidPost, match=r"^row 0, words: expected JSON, such as .*, found 'Ann meets'") as error:
        json_cell("Ann meets", "row 0", "words")
    assert error.value.field == "words"
    with pytest.raises(InvalidPost, match="expected JSON"):
        json_cell("[" * 100_000, "row 0", "words")


@pytest.mark.parametrize("cell", [None, float("nan")])
def test_missing_objects_are_none(cell):
    assert objects_cell(cell, "row 0") is None


def test_objects_are_a_list_or_json():
    assert objects_cell("[[0, 0, 4, 4]]", "row 0") == objects_cell([[0, 0, 4, 4]], "row 0") == [[0, 0, 4, 4]]
    with pytest.raises(InvalidPost, match=r"^row 0: `objects` is 5; expected a list of boxes or paths"):
        objects_cell("5", "row 0")


def test_urls_are_told_from_paths():
    assert is_url("https://example.org/a.png") and not is_url("images/a.png")

import pytest

from tgdi_hf.evaluation.markdown import percent, table


def test_a_table_has_an_empty_cell_for_an_empty_string():
    assert table(["", "rows"], [["all", "3"], ["some", ""]]) == ["| | rows |", "|---|---|", "| all | 3 |", "| some | |"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((0.1234,), "12.3"),
        ((0.1234, None, None), "12.3"),
        ((0.5, 0.25, 0.75), "50.0 (25.0 to 75.0)"),
        ((0.5, -0.25, 0.75, "+.1f"), "+50.0 (-25.0 to +75.0)"),
        ((None, None, None), "–"),
    ],
)
def test_shares_are_in_percent_with_their_interval(arguments, expected):
    assert percent(*arguments) == expected

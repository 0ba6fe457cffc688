import pytest

from tgdi_hf.annotations.document import Unusable
from tgdi_hf.annotations.fields import (
    as_id,
    as_integer,
    as_label,
    as_list,
    as_mapping,
    as_optional_label,
    as_text,
)


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        (as_integer, 3, 3),
        (as_integer, "12", 12),
        (as_integer, 4.0, 4),
        (as_id, 0, "0"),
        (as_id, "r1", "r1"),
        (as_label, " PER ", "PER"),
        (as_optional_label, None, None),
        (as_optional_label, "", None),
        (as_list, None, []),
        (as_list, (1, 2), [1, 2]),
        (as_mapping, {"a": 1}, {"a": 1}),
        (as_text, "Ann 😀", "Ann 😀"),
    ],
)
def test_values_that_tools_write(read, value, expected):
    assert read(value, "`x`") == expected


@pytest.mark.parametrize(
    ("read", "value", "message"),
    [
        (as_integer, True, "`x` is True; expected a whole number"),
        (as_integer, 1.5, "whole number"),
        (as_integer, "1e3", "whole number"),
        (as_integer, "²", "whole number"),
        (as_integer, float("inf"), "whole number"),
        (as_integer, 10**30, "whole number"),
        (as_id, None, "expected an id"),
        (as_id, True, "expected an id"),
        (as_id, "\ud83d", "half of a surrogate pair"),
        (as_label, ["PER"], "expected a text"),
        (as_text, "\u200b ", "expected a text"),
        (as_text, "a\udc00", "half of a surrogate pair at 1"),
        (as_list, {"a": 1}, "expected a list"),
        (as_mapping, [1], "expected an object"),
    ],
)
def test_other_values_are_named(read, value, message):
    with pytest.raises(Unusable, match=message):
        read(value, "`x`")

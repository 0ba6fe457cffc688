import pytest

from tgdi_hf.annotations.formats import Format, reader_of


@pytest.mark.parametrize("format", Format)
def test_every_format_has_a_reader(format):
    assert callable(reader_of(format))

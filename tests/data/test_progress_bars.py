import pytest
from datasets import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from tgdi_hf.data.progress_bars import without_progress_bars


@pytest.fixture(autouse=True)
def enabled():
    enable_progress_bars()
    yield
    enable_progress_bars()


def test_bars_are_disabled_inside_and_as_before_outside():
    with without_progress_bars():
        assert are_progress_bars_disabled()
    assert not are_progress_bars_disabled()
    with without_progress_bars(False):
        assert not are_progress_bars_disabled()
    disable_progress_bars()
    with pytest.raises(ValueError), without_progress_bars():
        raise ValueError
    assert are_progress_bars_disabled()


def test_an_error_inside_enables_them_again():
    with pytest.raises(ValueError), without_progress_bars():
        raise ValueError
    assert not are_progress_bars_disabled()

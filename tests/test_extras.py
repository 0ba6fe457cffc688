import sys

import pytest

from tgdi_hf.extras import is_installed, names_extra, require


def test_missing_package_is_reported_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert is_installed("json") and not is_installed("no_such_module") and not is_installed("sklearn")
    require("json", "any", "This")
    message = r"^The audit requires scikit-learn: pip install 'tgdi_hf\[audit\]'$"
    with pytest.raises(ImportError, match=message) as missing:
        require("sklearn", "audit", "The audit", package="scikit-learn")
    assert names_extra(missing.value)
    assert not names_extra(ImportError("No module named 'torch'"))

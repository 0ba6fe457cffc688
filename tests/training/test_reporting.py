import sys

import pytest

from tgdi_hf.extras import names_extra
from tgdi_hf.training import reporting
from tgdi_hf.training.reporting import check_report_to


def test_known_and_installed_trackers_are_returned(monkeypatch):
    monkeypatch.setattr(reporting, "get_available_reporting_integrations", lambda: ["wandb"])
    for given, expected in (("none", []), ([], []), (["none"], []), ("wandb", ["wandb"]), (["wandb", "flyte"], None)):
        assert check_report_to(given) == (given if expected is None else expected)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("wandbb", "`report_to` is 'wandbb'; expected azure_ml, clearml, .*wandb, or only 'none'"),
        ("all", "`report_to` is 'all'; expected"),
        (["wandb", "none"], "`report_to` is 'none' besides other trackers; expected"),
    ],
)
def test_unknown_trackers_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        check_report_to(given)


@pytest.mark.parametrize(
    ("name", "package"), [("wandb", "wandb"), ("comet_ml", "comet-ml"), ("tensorboard", "'tgdi_hf[tensorboard]'")]
)
def test_a_missing_tracker_is_named_with_the_command_that_installs_it(monkeypatch, name, package):
    monkeypatch.setattr(reporting, "get_available_reporting_integrations", lambda: [])
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ImportError) as missing:
        check_report_to([name])
    assert str(missing.value).startswith(f"Reporting to {name} requires ")
    assert str(missing.value).endswith(f": pip install {package}")
    assert names_extra(missing.value)

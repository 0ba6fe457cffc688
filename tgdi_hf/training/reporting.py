"""Where `Trainer` reports its logs: experiment trackers, checked before a training starts."""

from collections.abc import Sequence

from transformers.integrations import get_available_reporting_integrations
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

from ..extras import require

EXTRAS = ("tensorboard",)  # trackers that an extra of this package installs
PACKAGES = {"azure_ml": "azureml-core", "comet_ml": "comet-ml"}  # whose names differ from the tracker's


def check_report_to(trackers: str | Sequence[str]) -> list[str]:
    r"""
    Returns the trackers that logs are reported to.

    Args:
        trackers: Names of trackers that `Trainer` supports, such as `"trackio"`, `"wandb"` or `"tensorboard"`;
            `"none"` or no name for none.

    Raises:
        ValueError: A name that `Trainer` does not know, or `"none"` besides others.
        ImportError: A tracker that is not installed; the message contains the command that installs it.
    """
    names = [trackers] if isinstance(trackers, str) else [*trackers]
    if names in ([], ["none"]):
        return []
    known = sorted(INTEGRATION_TO_CALLBACK)
    for name in names:
        if name not in known:
            others = " besides other trackers" if name == "none" else ""
            raise ValueError(f"`report_to` is {name!r}{others}; expected {', '.join(known)}, or only 'none'.")
    available = get_available_reporting_integrations()
    for name in names:
        if name in EXTRAS:
            require(name, name, f"Reporting to {name}")
        elif name not in available and name != "flyte":  # which has no check of its own
            raise ImportError(f"Reporting to {name} requires it: pip install {PACKAGES.get(name, name)}")
    return names

"""Optional dependencies: whether they are installed, and the extra of the package that installs them."""

import re
from importlib.util import find_spec

_INSTALL_COMMAND = re.compile(r"requires .+: pip install ")


def is_installed(module: str) -> bool:
    """Whether a module can be imported. It is not imported."""
    try:
        return find_spec(module) is not None
    except ValueError:  # the entry in `sys.modules` has no spec
        return False


def require(module: str, extra: str, purpose: str, package: str | None = None) -> None:
    r"""
    Checks for an optional dependency, so that a missing one is reported before a model is loaded.

    Args:
        module: The module to import.
        extra: The extra of `tgdi_hf` that installs it.
        purpose: The feature that requires it; the subject of the error message.
        package: The name of the package, if it differs from that of the module.

    Raises:
        ImportError: The module is not installed; the message contains the command that installs it.
    """
    if not is_installed(module):
        raise ImportError(f"{purpose} requires {package or module}: pip install 'tgdi_hf[{extra}]'")


def names_extra(error: ImportError) -> bool:
    """Whether an error message contains the command that installs what is missing, so that no traceback is needed."""
    return _INSTALL_COMMAND.search(str(error)) is not None

"""Optional dependencies: whether they are installed, and how to install them."""

import re
from importlib.util import find_spec

_OF_OURS = re.compile(r"pip install 'tgdi_hf\[\w+\]'")


def is_installed(module: str) -> bool:
    """Whether a module can be imported; it is not imported."""
    try:
        return find_spec(module) is not None
    except ValueError:  # `sys.modules` has it in name only
        return False


def require(module: str, extra: str, purpose: str, package: str | None = None) -> None:
    r"""
    Checks for an optional dependency before any model is loaded.

    Args:
        module: Name to import.
        extra: The extra of `tgdi_hf` that installs it.
        purpose: What requires it, the subject of the message.
        package: Name of the package, where the module is called differently.

    Raises:
        ImportError: It is not installed; the message has the command that installs it.
    """
    if not is_installed(module):
        raise ImportError(f"{purpose} requires {package or module}: pip install 'tgdi_hf[{extra}]'")


def names_extra(error: ImportError) -> bool:
    """Whether an error says which extra of `tgdi_hf` to install, so that a traceback would add nothing."""
    return _OF_OURS.search(str(error)) is not None

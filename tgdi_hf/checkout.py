"""Import of `tgdi_hf.modeling` and `tgdi_hf.processing` from a checkout, whether or not it is installed."""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

PACKAGE = Path(__file__).parent
SUBPACKAGES = ("modeling", "processing")


class _CheckoutFinder(MetaPathFinder):
    """Finds the two subpackages in the folders next to the package."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        parent, _, folder = name.rpartition(".")
        if parent != __package__ or folder not in SUBPACKAGES:
            return None
        location = PACKAGE.parent / folder
        return spec_from_file_location(name, location / "__init__.py", submodule_search_locations=[str(location)])


def find_subpackages() -> None:
    r"""
    Installs the finder if this package is imported from a checkout.

    Python started in a checkout imports the checkout's `tgdi_hf` rather than the installed one, and only an
    installation has the subpackages inside that folder. In an installation this does nothing.
    """
    in_checkout = all((PACKAGE.parent / folder / "__init__.py").is_file() for folder in SUBPACKAGES)
    installed = any((PACKAGE / folder).is_dir() for folder in SUBPACKAGES)
    if in_checkout and not installed and not any(isinstance(finder, _CheckoutFinder) for finder in sys.meta_path):
        # First: an editable installation of another checkout must not provide the subpackages.
        sys.meta_path.insert(0, _CheckoutFinder())

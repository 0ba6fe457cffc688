"""Makes a checkout importable as it stands, whether or not the package is installed."""

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path

PACKAGE = Path(__file__).parent
SUBPACKAGES = ("modeling", "processing")


class _CheckoutFinder(MetaPathFinder):
    """Finds `tgdi_hf.modeling` and `tgdi_hf.processing` in the folders beside the package."""

    def find_spec(self, name: str, path=None, target=None) -> ModuleSpec | None:
        parent, _, folder = name.rpartition(".")
        if parent != __package__ or folder not in SUBPACKAGES:
            return None
        location = PACKAGE.parent / folder
        return spec_from_file_location(name, location / "__init__.py", submodule_search_locations=[str(location)])


def find_subpackages() -> None:
    r"""
    Python started in a checkout imports the checkout's `tgdi_hf`, not the installed one, and that folder lacks the
    subpackages which only an installation puts into it. Installed, the package has both and nothing changes.
    """
    beside = all((PACKAGE.parent / folder / "__init__.py").is_file() for folder in SUBPACKAGES)
    inside = any((PACKAGE / folder).is_dir() for folder in SUBPACKAGES)
    if beside and not inside and not any(isinstance(finder, _CheckoutFinder) for finder in sys.meta_path):
        # First: an editable installation of another checkout must not provide the other half.
        sys.meta_path.insert(0, _CheckoutFinder())

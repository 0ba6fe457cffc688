"""Sphinx configuration. `make docs` builds the pages into `docs/_build/html`, without network."""

import os
import sys
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before transformers is imported
DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS.parent), str(DOCS / "_ext")]

import tgdi_hf  # noqa: E402 - makes `tgdi_hf.modeling` and `tgdi_hf.processing` importable in a checkout

project = "tgdi_hf"
author = "the tgdi_hf contributors"
copyright = "the tgdi_hf contributors; Apache-2.0"
release = version = tgdi_hf.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "markdown_docstrings",
    "command_reference",
]
nitpicky = True
# Names of other packages, whose inventories are not downloaded.
nitpick_ignore_regex = [("py:.*", r"(?!tgdi_hf).*")]
exclude_patterns = ["_build"]

myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3

smartquotes = False  # `--option` stays as it is typed
# Single backticks in docstrings are code, as in Markdown.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the Args sections state the types where they need an explanation
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = "tgdi_hf"
html_extra_path = ["serving.schema.json"]
html_show_sphinx = False

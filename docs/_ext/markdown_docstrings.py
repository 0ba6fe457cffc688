"""Fenced code in docstrings, as transformers writes them, becomes a literal block of reStructuredText."""

import re
from typing import Any

from sphinx.application import Sphinx

FENCE = re.compile(r"^(?P<indent>\s*)```(?P<language>\w*)\s*$")


def replace_fences(lines: list[str]) -> list[str]:
    r"""
    Args:
        lines: A docstring in Markdown, line by line.

    Returns:
        The same lines with every fence turned into a `code-block` directive and its content indented.
    """
    replaced: list[str] = []
    inside = False
    for line in lines:
        fence = FENCE.match(line)
        if fence and not inside:
            replaced += ["", f"{fence['indent']}.. code-block:: {fence['language'] or 'text'}", ""]
        elif fence:
            replaced.append("")
        else:
            replaced.append(f"    {line}" if inside and line.strip() else line)
        inside ^= fence is not None
    return replaced


def _process(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = replace_fences(lines)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", _process, priority=400)  # before napoleon
    return {"parallel_read_safe": True}

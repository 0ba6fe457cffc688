"""Docstrings are written in Markdown, as those of transformers are. Before autodoc reads them, they become
reStructuredText: fenced code, tables, lists and `Returns:` sections."""

import re
import textwrap
from collections.abc import Iterator
from typing import Any

from sphinx.application import Sphinx

FENCE = re.compile(r"(?P<indent>\s*)```(?P<language>\w*)\s*")


def as_restructured_text(lines: list[str]) -> list[str]:
    r"""
    Args:
        lines: A docstring in Markdown with Google-style sections, line by line.

    Returns:
        The same docstring for napoleon and docutils.
    """
    lines = list(_join_continued(lines))
    lines = textwrap.dedent("\n".join(lines)).split("\n")
    return list(_convert_returns(list(_convert_blocks(lines))))


def _join_continued(lines: list[str]) -> Iterator[str]:
    """Joins lines that end in a backslash with the next one."""
    before = ""
    for line in lines:
        if line.endswith("\\"):
            before += line.removesuffix("\\")
        else:
            yield before + (line.lstrip() if before else line)
            before = ""


def _convert_blocks(lines: list[str]) -> Iterator[str]:
    """Fences become `code-block` directives, tables `list-table` directives, and lists stand between blank lines."""
    inside_code = inside_list = False
    list_indent = ""
    rows: list[str] = []
    for line in [*lines, ""]:
        text = line.lstrip()
        indent = line[: len(line) - len(text)]
        if rows and not text.startswith("|"):
            yield from _table(rows)
            rows = []
        if fence := FENCE.fullmatch(line):
            inside_code = not inside_code
            yield ""
            if inside_code:
                yield f"{fence['indent']}.. code-block:: {fence['language'] or 'text'}"
                yield ""
        elif inside_code:
            yield f"    {line}" if text else ""
        elif text.startswith("|"):
            rows.append(line)
        else:
            starts_item = text.startswith("- ")
            if starts_item and not (inside_list and indent == list_indent):
                yield ""
                inside_list, list_indent = True, indent
            elif inside_list and text and not starts_item and len(indent) <= len(list_indent):
                yield ""
                inside_list = False
            yield line


def _table(rows: list[str]) -> Iterator[str]:
    """A Markdown table: header, rule, rows."""
    indent = rows[0][: len(rows[0]) - len(rows[0].lstrip())]
    yield from ("", f"{indent}.. list-table::", f"{indent}   :header-rows: 1", "")
    for row in [rows[0], *rows[2:]]:
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row.strip().strip("|"))]
        for i, cell in enumerate(cells):
            yield f"{indent}   {'* -' if i == 0 else '  -'} {cell}".rstrip()
    yield ""


def _convert_returns(lines: list[str]) -> Iterator[str]:
    """A `Returns:` section as a field, since napoleon would take the text before its first colon for a type."""
    inside = False
    for line in lines:
        if re.fullmatch(r"(Returns|Yields):", line):
            inside = True
            yield from ("", f":{line.lower()}")
            continue
        if inside and line and not line[0].isspace():
            inside = False
            yield ""
        yield line


def _process(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = as_restructured_text(lines)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", _process, priority=400)  # before napoleon
    return {"parallel_read_safe": True}

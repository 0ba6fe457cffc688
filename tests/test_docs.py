"""The documentation site: every public name has a docstring and a page, and its extensions write what they should."""

import inspect
import re
import sys
from importlib import import_module

import pytest
import typer

import tgdi_hf
from tgdi_hf.cli.main import app

from .snippets import ROOT, snippets_of, tgdi_call

REFERENCE = ROOT / "docs" / "reference"
GUIDES = [ROOT / "docs/quickstart.md", *sorted((ROOT / "docs").glob("[cg]*/*.md"))]
DIRECTIVE = re.compile(r"^\.\. auto(\w+):: (tgdi_hf[\w.]*)((?:\n   .*)*)", re.MULTILINE)
COMMANDS = sorted(typer.main.get_command(app).commands)
CLASSES = [name for name in tgdi_hf.__all__ if inspect.isclass(getattr(tgdi_hf, name))]


@pytest.fixture(scope="module")
def documented():
    """Names in the reference, with the options of their directives."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in REFERENCE.glob("*.md"))
    return {name: options for _, name, options in DIRECTIVE.findall(text)}


@pytest.fixture
def extensions(monkeypatch):
    pytest.importorskip("sphinx", reason="requires the extra `docs`, which `make check` installs")
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_ext"))
    yield
    for name in ("command_reference", "markdown_docstrings"):
        sys.modules.pop(name, None)


def members_of(cls: type) -> dict[str, object]:
    """Public methods and properties that this package adds, in the class or in a base of it, or documents anew."""
    ours = [base for base in cls.__mro__ if base.__module__.startswith("tgdi_hf")]
    inherited = {name for base in cls.__mro__ if base not in ours for name in vars(base)}
    members = {name: member for base in reversed(ours) for name, member in vars(base).items()}
    kinds = (property, classmethod, staticmethod)
    return {
        name: member
        for name, member in members.items()
        if not name.startswith("_")
        and (isinstance(member, kinds) or inspect.isfunction(member))
        and (member.__doc__ or name not in inherited)
    }


# Public names


@pytest.mark.parametrize("name", tgdi_hf.__all__)
def test_public_names_have_a_docstring(name):
    thing = getattr(tgdi_hf, name)
    assert (inspect.getdoc(thing) or "").strip()
    assert inspect.getdoc(thing) != inspect.getdoc(type(thing)) or not callable(thing)


@pytest.mark.parametrize("name", tgdi_hf.__all__)
def test_public_names_have_a_page(name, documented):
    assert f"tgdi_hf.{name}" in documented


@pytest.mark.parametrize("name", CLASSES)
def test_public_members_have_a_docstring(name):
    cls = getattr(tgdi_hf, name)
    assert [member for member, value in members_of(cls).items() if not (value.__doc__ or "").strip()] == []


@pytest.mark.parametrize("name", CLASSES)
def test_public_members_have_a_page(name, documented):
    """`:members:` alone stands for the members that the class itself defines and documents."""
    cls, options = getattr(tgdi_hf, name), documented[f"tgdi_hf.{name}"]
    match = re.search(r":members:((?:.*)(?:\n {6,}.*)*)", options)
    listed = re.findall(r"\w+", match[1]) if match else []
    if match and not listed:
        listed = [member for member in vars(cls) if getattr(vars(cls)[member], "__doc__", None)]
    assert sorted(members_of(cls).keys() - {*listed}) == []


def test_reference_names_exist(documented):
    for name in documented:
        module, _, attribute = name.rpartition(".")
        while module and module not in sys.modules:
            try:
                import_module(module)
            except ModuleNotFoundError:
                module, _, cls = module.rpartition(".")
                attribute = f"{cls}.{attribute}"
        thing = import_module(module)
        for part in attribute.split("."):
            thing = getattr(thing, part)


def test_names_in_the_guides_exist():
    """Dotted names of the package in code, such as `tgdi_hf.evaluation.metric.best_thresholds`."""
    for page in GUIDES:
        for name in re.findall(r"`(tgdi_hf(?:\.\w+)+)", page.read_text(encoding="utf-8")):
            parent, _, last = name.rpartition(".")
            try:
                import_module(name)
            except ModuleNotFoundError:
                assert hasattr(import_module(parent), last), f"{page.name}: {name}"


# Commands


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_have_a_help_text(name):
    assert (typer.main.get_command(app).commands[name].help or "").strip()


def test_the_page_of_commands_has_every_command_and_option(extensions):
    from command_reference import commands_as_markdown

    page = commands_as_markdown()
    for name, command in typer.main.get_command(app).commands.items():
        section = page.split(f"## tgdi {name}\n")[1].split("\n## ")[0]
        options = [option for parameter in command.params if not getattr(parameter, "hidden", False)
                   for option in parameter.opts if option.startswith("--")]  # fmt: skip
        assert [option for option in options if f"`{option}" not in section and f", {option}" not in section] == []


def test_the_page_of_commands_is_filled_in():
    from_extension = (ROOT / "docs/_ext/command_reference.py").read_text(encoding="utf-8")
    placeholder = re.search(r'^PLACEHOLDER = "(.+)"$', from_extension, re.MULTILINE)[1]
    assert placeholder in (REFERENCE / "cli.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted({*COMMANDS} - {"help", "demo"}))
def test_guides_show_every_command(name):
    calls = [
        call
        for page in GUIDES
        for snippet in snippets_of(page)
        if snippet.language == "bash"
        for line in snippet.code.replace("\\\n", " ").splitlines()
        if line.strip() and (call := tgdi_call(line))
    ]
    assert name in {call.arguments[0] for call in calls}


# Pages


def test_every_page_is_in_a_table_of_contents():
    docs = ROOT / "docs"
    listed = set()
    for index in docs.rglob("*.md"):
        for toctree in re.findall(r"```\{toctree\}\n(.*?)```", index.read_text(encoding="utf-8"), re.DOTALL):
            entries = [line.strip() for line in toctree.splitlines() if line.strip() and not line.startswith(":")]
            listed |= {(index.parent / entry).with_suffix(".md").resolve() for entry in entries}
    pages = {page.resolve() for page in docs.rglob("*.md") if "_build" not in page.parts}
    assert pages - listed == {(docs / "index.md").resolve()}


def test_the_architecture_names_every_equation():
    script = (ROOT / "docs/figures/architecture.py").read_text(encoding="utf-8")
    named = set()
    for numbers in re.findall(r"Eq\. ([\d, –]+)", script):
        for part in numbers.replace(" ", "").strip(",").split(","):
            first, _, last = part.partition("–")
            named |= set(range(int(first), int(last or first) + 1))
    assert named == set(range(1, 17))


# Extensions


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("No `code` block.", "No `code` block."),
        ("```python\n>>> 1\n```\nAfter.", ".. code-block:: python\n    >>> 1\nAfter."),
        ("| a | |\n|---|---|\n| b | c |", ".. list-table::\n   :header-rows: 1\n   * - a\n     -\n   * - b\n     - c"),
        ("Returns:\n    A list: of\n    - one\n    after", ":returns:\n    A list: of\n    - one\n    after"),
        ("    x (`int`, \\\n*optional*): y", "x (`int`, *optional*): y"),
    ],
)
def test_docstrings_become_restructured_text(markdown, expected, extensions):
    from markdown_docstrings import as_restructured_text

    assert "\n".join(line for line in as_restructured_text(markdown.split("\n")) if line.strip()) == expected


def test_lists_in_docstrings_stand_between_blank_lines(extensions):
    from markdown_docstrings import as_restructured_text

    assert as_restructured_text(["Two:", "- one", "- two", "  lines", "after"]) == [
        "Two:", "", "- one", "- two", "  lines", "", "after", "",
    ]  # fmt: skip

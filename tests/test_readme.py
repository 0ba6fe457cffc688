"""README and the pages of `docs/`: their code runs as printed, on tiny checkpoints and rows of the embedded corpus."""

import re
import shlex
from pathlib import Path

import pytest
import typer
from datasets import DatasetDict
from typer.testing import CliRunner

import tgdi_hf
from tgdi_hf.cli.main import app

from .snippets import ROOT, Snippet, TgdiCall, shell_commands, snippets_of, tgdi_call
from .stand_ins import write_stand_ins

README = ROOT / "README.md"
PAGES = [README, *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("docs/*/*.md"))]
RUN = [page for page in PAGES if any(one.language in ("python", "bash") for one in snippets_of(page))]
MAX_WORDS, MAX_CODE_WIDTH, MAX_TABLE_COLUMNS = 1300, 50, 3
# Two servers and a minute of training; `tests/cli/test_examples.py` runs them.
PARSED_ONLY = ("app", "demo", "serve")


# What README promises to a reader


def test_readme_is_short():
    assert len(README.read_text(encoding="utf-8").split()) <= MAX_WORDS


def test_readme_sections_are_in_the_order_of_a_first_visit():
    assert re.findall(r"^## (.+)$", README.read_text(encoding="utf-8"), re.MULTILINE) == [
        "Install",
        "Predict",
        "Train",
        "Results",
        "Documentation",
        "Development",
    ]


def test_readme_fits_a_phone():
    code = [line for snippet in snippets_of(README) for line in snippet.code.splitlines()]
    assert [line for line in code if len(line) > MAX_CODE_WIDTH] == []
    rows = [line for line in README.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    assert [row for row in rows if row.count("|") > MAX_TABLE_COLUMNS + 1] == []


@pytest.mark.parametrize("mention", ["Python ≥ 3.11", "make demo", "make test", "docs/quickstart.md"])
def test_readme_names(mention):
    assert mention in README.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (page.parent / link).is_file()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_have_a_text(page):
    """Sphinx fills in the title of a page; GitHub shows nothing."""
    assert "[](" not in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_named_files_exist(page):
    names = re.findall(r"(?<![\w./-])(?:examples|docs|tests|modeling)/[\w./-]*\w", page.read_text(encoding="utf-8"))
    built = [name for name in names if name.startswith("docs/_build")]
    assert [name for name in names if name not in built and not (ROOT / name).exists()] == []


# Code blocks


@pytest.fixture(scope="module")
def files(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    write_stand_ins(folder, DatasetDict({split: rows.select(range(16)) for split, rows in corpus.items()}))
    return folder


@pytest.fixture
def workplace(files, corpus, tmp_path, monkeypatch):
    """A working directory with links to the stand-ins."""
    for source in files.iterdir():
        (tmp_path / source.name).symlink_to(source)
    (tmp_path / "runs").mkdir()
    for name in ("demo", "mnre"):
        (tmp_path / "runs" / name).symlink_to(files / "trained" / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(tgdi_hf, "make_corpus", lambda rows=None: corpus)
    return tmp_path


def run_tgdi(call: TgdiCall) -> None:
    name, *arguments = call.arguments
    typer.main.get_command(app).commands[name].make_context(name, [*arguments])  # the options exist
    is_quick = name not in PARSED_ONLY or "--dataset" in arguments
    if call.launched or not is_quick or (name == "push" and "--to" not in arguments):
        return
    if name in ("train", "tune"):
        arguments += ["--epochs", "1", *(["--trials", "1"] if name == "tune" else [])]
        if Path(arguments[1]).is_symlink():
            Path(arguments[1]).unlink()
    done = CliRunner().invoke(app, [name, *arguments], input=call.piped or None)
    assert done.exit_code == 0, f"tgdi {shlex.join(call.arguments)}\n{done.output}\n{done.exception!r}"


def check_other(command: str) -> None:
    """A command other than `tgdi` is not run; what it names has to exist."""
    words = shlex.split(command, comments=True)
    if words[0] == "make":
        makefile = (ROOT / "Makefile").read_text()
        assert [name for name in words[1:] if not re.search(rf"^{name}:", makefile, re.MULTILINE)] == []
    for extra in re.findall(r"tgdi_hf\[(\w+)\]", command):
        assert f'"{extra}": ' in (ROOT / "setup.py").read_text()
    for name in re.findall(r"-m (examples[\w.]+)", command):
        assert (ROOT / name.replace(".", "/")).exists()


@pytest.mark.no_cover
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("page", RUN, ids=lambda page: str(page.relative_to(ROOT)))
def test_code_runs_as_printed(page, workplace):
    namespace: dict = {"__name__": "__main__"}
    for snippet in snippets_of(page):
        if snippet.not_run:
            continue
        if snippet.language == "python":
            exec(compile(snippet.code, f"{page}:{snippet.line}", "exec"), namespace)
        elif snippet.language == "bash":
            for command in shell_commands(snippet):
                call = tgdi_call(command)
                if call is None:
                    check_other(command)
                else:
                    run_tgdi(call)


# The reader of code blocks itself


def test_code_blocks_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("a\n```bash\ntgdi a \\\n  b # why\n# note\n```\n<!-- not run: fragment -->\n```python\n…\n```\n")
    shell, python = snippets_of(page)
    assert shell == Snippet("bash", "tgdi a \\\n  b # why\n# note\n", 2)
    assert [shlex.split(command, comments=True) for command in shell_commands(shell)] == [["tgdi", "a", "b"]]
    assert python == Snippet("python", "…\n", 8, "fragment")


def test_calls_of_tgdi_are_found():
    assert tgdi_call("echo '{\"a\": 1}' | tgdi predict runs/demo") == TgdiCall(("predict", "runs/demo"), '{"a": 1}')
    assert tgdi_call("accelerate launch -m tgdi_hf.cli.main train a b") == TgdiCall(("train", "a", "b"), launched=True)
    assert tgdi_call("make demo") is None

"""Code blocks of Markdown pages, to be run as they are printed."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FENCE = re.compile(
    r"^(?:<!-- not run: (?P<reason>.+?) -->\n)?^(?P<indent> *)```(?P<language>\w+)\n(?P<code>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)

LAUNCHER = ["accelerate", "launch", "-m", "tgdi_hf.cli.main"]


@dataclass(frozen=True)
class Snippet:
    """
    Args:
        language: `python`, `bash`, `json`, `text`, …
        code: The lines between the fences.
        line: Number of the opening fence in its page.
        not_run: Why it cannot be run here, from a comment above the fence; empty if it can.
    """

    language: str
    code: str
    line: int
    not_run: str = ""


@dataclass(frozen=True)
class TgdiCall:
    """
    Args:
        arguments: Of `tgdi`: the command, its arguments and options.
        piped: What `echo` pipes into it.
        launched: Whether `accelerate launch` starts it, in several processes.
    """

    arguments: tuple[str, ...]
    piped: str = ""
    launched: bool = False


def snippets_of(page: Path) -> list[Snippet]:
    """All fenced code blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        line = text.count("\n", 0, match.start("language")) + 1
        found.append(Snippet(match["language"], match["code"], line, match["reason"] or ""))
    return found


def shell_commands(snippet: Snippet) -> list[str]:
    """The commands of a shell block: one per line, continued lines joined, comments removed."""
    lines = snippet.code.replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if shlex.split(line, comments=True)]


def tgdi_call(command: str) -> TgdiCall | None:
    """The call of `tgdi` in a line of shell; `None` for another command."""
    *before, last = [part.strip() for part in command.split(" | ")]
    words = shlex.split(last, comments=True)
    launched = words[: len(LAUNCHER)] == LAUNCHER
    if launched:
        words = ["tgdi", *words[len(LAUNCHER) :]]
    if words[0] != "tgdi":
        return None
    piped = "\n".join(" ".join(shlex.split(part)[1:]) for part in before if part.startswith("echo "))
    return TgdiCall(tuple(words[1:]), piped, launched)

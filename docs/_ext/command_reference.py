"""The reference of the command line: one section per command of `tgdi`, written from the help of its options."""

import re
from collections.abc import Iterator

import typer
from sphinx.application import Sphinx

from tgdi_hf.cli.main import app as tgdi

PAGE = "reference/cli"
PLACEHOLDER = "<!-- commands -->"
# "Example: tgdi audit path/to/mnre", a paragraph of its own in a command's help.
SHELL = re.compile(r"(?P<title>[A-Z][\w ]*): (?P<command>(?:tgdi|echo|accelerate) .+)", re.DOTALL)


def commands_as_markdown() -> str:
    """All commands, in the order in which `tgdi --help` lists them."""
    group = typer.main.get_group(tgdi)
    parent = type(group).context_class(group, info_name="tgdi", **group.context_settings)
    sections = []
    for name in group.list_commands(parent):
        command = group.commands[name]
        context = command.context_class(command, info_name=name, parent=parent)
        sections.append("\n\n".join(_section(name, command, context)))
    return "\n\n".join(sections)


def _section(name: str, command, context) -> Iterator[str]:
    yield f"## tgdi {name}"
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield f"```text\n{usage}\n```"
    for paragraph in re.split(r"\n\s*\n", command.help or ""):
        text = " ".join(paragraph.split())
        shell = SHELL.fullmatch(text)
        yield f"{shell['title']}:\n\n```bash\n{shell['command']}\n```" if shell else _escape(text)
    for title, kind in (("Arguments", "argument"), ("Options", "option")):
        records = [
            record
            for parameter in command.get_params(context)
            if parameter.param_type_name == kind and (record := parameter.get_help_record(context))
        ]
        if records:
            yield f"**{title}**"
            yield "\n\n".join(
                f"`{terms}`\n: {_escape(' '.join(text.split())) or 'No default.'}" for terms, text in records
            )


def _escape(text: str) -> str:
    """Terminal text as Markdown in which only `code` is markup."""
    plain_and_code = text.split("`")
    plain_and_code[::2] = [re.sub(r"([\\*_<>\[\]{}$~#|])", r"\\\1", part) for part in plain_and_code[::2]]
    return "`".join(plain_and_code)


def _fill_in(app: Sphinx, page: str, source: list[str]) -> None:
    if page == PAGE:
        source[0] = source[0].replace(PLACEHOLDER, commands_as_markdown())


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", _fill_in)
    return {"parallel_read_safe": True}

"""The command `tgdi`: its commands, and errors as messages instead of tracebacks."""

import os
import sys
from io import TextIOWrapper
from typing import Annotated

import typer
from typer.core import TyperGroup

from ..extras import names_extra
from .audit import audit
from .demo import app as page
from .demo import demo
from .evaluate import evaluate
from .explain import explain
from .export import export
from .import_annotations import import_annotations
from .label import label
from .predict import predict
from .prepare import prepare
from .push import push
from .serve import serve
from .train import train
from .triples import triples
from .tune import tune

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(requested: bool) -> None:
    if requested:
        from .. import __version__

        typer.echo(f"tgdi_hf {__version__}")
        raise typer.Exit


@app.callback()
def _describe(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """TGDI: multimodal relation extraction in social media posts."""


@app.command(name="help")
def _help(
    context: typer.Context, command: Annotated[str | None, typer.Argument(show_default="all commands")] = None
) -> None:
    """Show the help of a command.

    Example: tgdi help predict
    """
    parent = context.parent
    assert parent is not None and isinstance(parent.command, TyperGroup)  # `tgdi` itself
    if command is None:
        typer.echo(parent.get_help())
        return
    commands = parent.command.commands
    if command not in commands:
        names = ", ".join(commands)
        raise typer.BadParameter(f"Unknown command {command!r}; expected one of {names}.", param_hint="COMMAND")
    typer.echo(commands[command].get_help(type(context)(commands[command], info_name=command, parent=parent)))


for _command in (train, tune, evaluate, audit, predict, triples, prepare, explain, export, push):
    app.command()(_command)
app.command(name="import")(import_annotations)
app.command()(label)
app.command()(serve)
app.command(name="app")(page)
app.command()(demo)


def _configuration_error() -> type[Exception]:
    """The error of a configuration that fails its validation; imported only once an error has occurred."""
    from huggingface_hub.errors import StrictDataclassError

    return StrictDataclassError


def main() -> None:
    """Runs the command; invalid input ends it with a message instead of a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # posts have characters that ASCII and Windows code pages lack
            stream.reconfigure(errors="backslashreplace")
    # Hides bars of steps that take no time, such as "Loading weights" before every answer. tqdm reads it on import.
    os.environ.setdefault("TQDM_DELAY", "3")
    try:
        app()
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, OSError, ImportError, _configuration_error()) as error:
        if os.environ.get("TGDI_DEBUG") or (isinstance(error, ImportError) and not names_extra(error)):
            raise
        typer.secho(f"Error: {error}", err=True, fg="red")
        typer.echo("(Set the environment variable TGDI_DEBUG=1 to see the traceback.)", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()

"""Arguments that a model would swallow: `forward` takes `**kwargs`, as `Trainer` expects, but none goes unread."""

import inspect
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any


def refuse_unknown_arguments(forward: Callable, kwargs: dict[str, Any]) -> None:
    r"""
    Refuses arguments that `forward` has no use for. `None` and `False` ask for nothing and pass: wrappers such as
    peft's name every argument that they know.

    Args:
        forward (`Callable`): The method that was called.
        kwargs (`dict[str, Any]`): What it was given beyond its own parameters.

    Raises:
        TypeError: An argument that is not among the parameters; the message names it and the nearest one.
    """
    for name, value in kwargs.items():
        if value is not None and value is not False:
            parameters = inspect.signature(forward).parameters.values()
            known = [one.name for one in parameters if one.kind is not inspect.Parameter.VAR_KEYWORD]
            known = [one for one in known if one != "self"]
            similar = get_close_matches(name, known, n=1, cutoff=0.8)
            hint = f"did you mean `{similar[0]}`?" if similar else f"expected one of {', '.join(known)}."
            raise TypeError(f"{forward.__qualname__} got an unexpected argument `{name}`; {hint}")

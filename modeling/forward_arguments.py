"""Rejects unknown keyword arguments of `forward`, which accepts `**kwargs` because `Trainer` relies on it."""

import inspect
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any


def reject_unknown_arguments(forward: Callable, kwargs: dict[str, Any]) -> None:
    r"""
    Rejects arguments that `forward` does not read, except those that are `None` or `False`: wrappers such as peft's
    pass every argument that they know.

    Args:
        forward (`Callable`): The method that was called.
        kwargs (`dict[str, Any]`): The arguments beyond its named parameters.

    Raises:
        TypeError: An unknown argument; the message names it and the most similar parameter.
    """
    for name, value in kwargs.items():
        if value is not None and value is not False:
            parameters = inspect.signature(forward).parameters.values()
            named = [one.name for one in parameters if one.kind is not inspect.Parameter.VAR_KEYWORD]
            known = [name for name in named if name != "self"]
            similar = get_close_matches(name, known, n=1, cutoff=0.8)
            hint = f"did you mean `{similar[0]}`?" if similar else f"expected one of {', '.join(known)}."
            raise TypeError(f"{forward.__qualname__} got an unexpected argument `{name}`; {hint}")

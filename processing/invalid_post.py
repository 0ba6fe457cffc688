"""The error for an invalid post."""

from collections.abc import Iterator
from contextlib import contextmanager


class InvalidPost(ValueError):
    r"""
    A post is invalid. The message states what was expected, what was found, and the fix.

    Args:
        message (`str`): The problem, and the post that it occurs in.
        field (`str`): The key of the post with the problem: `"text"`, `"words"`, `"head"`, `"tail"`, `"entities"`,
            `"image"`, `"objects"`, `"caption"`; or `"post"` if the post is not a mapping.
    """

    id: str | int | float | None = None  # the `id` of the post, set by file readers

    def __init__(self, message: str, field: str = "post"):
        super().__init__(message)
        self.field = field


@contextmanager
def blaming(field: str) -> Iterator[None]:
    """Converts a `ValueError` raised inside to an `InvalidPost` with this field."""
    try:
        yield
    except InvalidPost:
        raise
    except ValueError as error:
        raise InvalidPost(str(error), field) from error

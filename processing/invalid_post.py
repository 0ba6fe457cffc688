"""The error for a post that can't be used."""

from collections.abc import Iterator
from contextlib import contextmanager


class InvalidPost(ValueError):
    r"""
    What is wrong with a post: the message says what was expected, what was found, and the fix.

    Args:
        message (`str`): What is wrong, and in which post.
        field (`str`): The key of the post that is wrong: `"text"`, `"words"`, `"head"`, `"tail"`, `"entities"`,
            `"image"`, `"objects"`, `"caption"`; or `"post"` where the post itself is no mapping.
    """

    id: str | int | float | None = None  # that of the post, if a reader of files knows it

    def __init__(self, message: str, field: str = "post"):
        super().__init__(message)
        self.field = field


@contextmanager
def blaming(field: str) -> Iterator[None]:
    """Gives errors that are raised inside the name of the field that they are about."""
    try:
        yield
    except InvalidPost:
        raise
    except ValueError as error:
        raise InvalidPost(str(error), field) from error

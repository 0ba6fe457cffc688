"""The body of a request: its headers, its size, and its JSON."""

import json
from collections.abc import Callable
from typing import Any

from starlette.requests import Request


class Refused(Exception):
    r"""
    A request that is answered with an error.

    Args:
        status (`int`): The HTTP status.
        message (`str`): What was expected, what was found, and the fix.
        field (`str`): The invalid key or header.
        retry_after (`int`, *optional*): Seconds after which the request may succeed.
        known: Further keys of the answer.
    """

    def __init__(self, status: int, message: str, field: str, retry_after: int | None = None, **known: Any):
        super().__init__(message)
        self.status, self.field, self.retry_after = status, field, retry_after
        self.answer = {**known, "error": message, "field": field}


async def read_body(request: Request, most: int, hold: Callable[[int], Any] = lambda size: None) -> bytes:
    r"""
    Reads a JSON body, no further than the limit.

    Args:
        request: The request.
        most: Bytes.
        hold: Called with the size of each part before it is kept; may raise `Refused`.

    Raises:
        Refused: The headers announce no plain JSON (415), the body exceeds the limit (413), or see `hold`.
    """
    check_headers(request)
    found = request.headers.get("content-length", "")
    if found.isdecimal() and int(found) > most:
        raise _too_large(f"{int(found):,} bytes", most)
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise _too_large(f"more than {most:,} bytes", most)
        hold(len(part))
        parts.append(part)
    return b"".join(parts)


def check_headers(request: Request) -> None:
    """Raises `Refused` unless the body is declared as JSON without compression."""
    given = request.headers.get("content-type", "")
    kind = given.partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refused(
            415,
            f"The Content-Type is {given[:80] or 'missing'}; expected application/json, with images as base64 strings.",
            "Content-Type",
        )
    coding = request.headers.get("content-encoding", "identity")
    if coding.strip().lower() != "identity":
        raise Refused(415, f"The Content-Encoding is {coding[:80]}; expected an uncompressed body.", "Content-Encoding")


def parse_json(body: bytes) -> Any:
    """Parses a body; raises `Refused` if it is not JSON."""
    if not body:
        raise Refused(400, 'The body is empty; expected JSON: {"inputs": a post or a list of posts}.', "body")
    try:
        return json.loads(body)
    except UnicodeDecodeError as error:
        raise Refused(400, f"The body is not UTF-8, from byte {error.start} on; expected JSON.", "body") from None
    except ValueError as error:  # invalid JSON, or a number of too many digits
        raise Refused(400, f"The body is not JSON: {error}.", "body") from None
    except RecursionError:
        raise Refused(400, "The body is nested too deeply; expected a post or a list of posts.", "body") from None


def _too_large(found: str, most: int) -> Refused:
    return Refused(
        413,
        f"The body has {found}; expected at most {most:,}. Send fewer posts per request, or smaller images.",
        "body",
    )

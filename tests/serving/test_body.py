import asyncio

import pytest
from starlette.requests import Request

from tgdi_hf.serving.body import Refused, parse_json, read_body

JSON = ("content-type", "application/json")


def request(parts, *headers):
    """A request whose body arrives in parts."""
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive():
        return messages.pop(0)

    encoded = [(name.encode(), value.encode()) for name, value in headers]
    return Request({"type": "http", "method": "POST", "headers": encoded}, receive), messages


def read(parts, *headers, most=10):
    given, messages = request(parts, *headers)
    return asyncio.run(read_body(given, most)), messages


def refusal(parts, *headers, most=10):
    given, messages = request(parts, *headers)
    with pytest.raises(Refused) as refused:
        asyncio.run(read_body(given, most))
    return refused.value, messages


def test_a_body_is_read_up_to_the_limit():
    assert read([b"01234", b"56789"], JSON)[0] == b"0123456789"
    for kind in ("application/json; charset=utf-8", "Application/JSON"):
        assert read([b"1"], ("content-type", kind), ("content-encoding", "identity"))[0] == b"1"


def test_a_body_that_is_too_large_is_not_read_on():
    refused, messages = refusal([b"01234", b"567890", b"more", b"more"], JSON)
    assert (refused.status, refused.field) == (413, "body")
    assert str(refused) == (
        "The body has more than 10 bytes; expected at most 10. Send fewer posts per request, or smaller images."
    )
    assert len(messages) == 3
    refused, messages = refusal([b"0"], JSON, ("content-length", "1234567"))
    assert refused.status == 413 and "has 1,234,567 bytes" in str(refused) and len(messages) == 2
    assert refusal([b"0" * 11], JSON, ("content-length", "-5"))[0].status == 413


def test_each_part_is_announced_before_it_is_kept():
    given, messages = request([b"0123", b"4", b"5"], JSON)
    sizes = []

    def hold(size):
        sizes.append(size)
        if len(sizes) == 2:
            raise Refused(429, "full", "body")

    with pytest.raises(Refused, match="full"):
        asyncio.run(read_body(given, 10, hold))
    assert sizes == [4, 1] and len(messages) == 2


@pytest.mark.parametrize(
    ("headers", "field", "message"),
    [
        ((), "Content-Type", "The Content-Type is missing; expected application/json"),
        ((("content-type", "text/plain"),), "Content-Type", "is text/plain; expected application/json"),
        ((("content-type", "multipart/form-data; boundary=a"),), "Content-Type", "images as base64 strings"),
        ((JSON, ("content-encoding", "gzip")), "Content-Encoding", "is gzip; expected an uncompressed body"),
    ],
)
def test_other_content_is_refused_unread(headers, field, message):
    refused, messages = refusal([b"{}"], *headers)
    assert (refused.status, refused.field, len(messages)) == (415, field, 2) and message in str(refused)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The body is empty"),
        (b"{", "not JSON: Expecting property name"),
        (b"inputs=Ann", "not JSON: Expecting value"),
        (b'{"inputs": }', "not JSON: Expecting value: line 1 column 12"),
        (b"{} {}", "not JSON: Extra data"),
        (b'{"inputs": "\xff"}', "not UTF-8, from byte 12 on"),
        (b"[" * 200_000, "nested too deeply"),
        (b"1" * 5000, "not JSON: Exceeds the limit"),
        (b"\x89PNG\r\n", "not UTF-8, from byte 0 on"),
    ],
    ids=range(9),
)
def test_a_body_that_is_no_json_is_refused(body, message):
    with pytest.raises(Refused) as refused:
        parse_json(body)
    assert (refused.value.status, refused.value.field) == (400, "body")
    assert message in str(refused.value) and refused.value.answer["error"] == str(refused.value)


def test_json_is_parsed():
    assert parse_json(b'{"inputs": [1, "\\u00e9", NaN]}')["inputs"][:2] == [1, "é"]

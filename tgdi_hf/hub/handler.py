"""The request handler of Hugging Face Inference Endpoints, and of any server that takes JSON.

This file is copied into a model repository as `handler.py` and requires transformers, Pillow and the code beside it.

A request is `{"inputs": POST or [POST, …], "parameters": {…}}`; `docs/serving.schema.json` specifies requests and
answers. Images are base64 strings, or URLs of hosts that the operator allows: a client must not make the server fetch
arbitrary URLs or open local files.

`tgdi serve` applies the same checks and limits, and calls the steps of the handler one by one.
"""

import base64
import binascii
import http.client
import io
import math
import os
import reprlib
import time
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from PIL import Image
from transformers import pipeline

TASK = "multimodal-relation-extraction"
PARAMETERS = ("top_k", "drop_none", "evidence", "pairs", "ambiguous", "threshold", "truncation")
FIELDS = ("id", "text", "words", "head", "tail", "entities", "image", "objects", "caption")
DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_DEPTH = 8  # of a value in a post; a list of entities given as mappings with spans has 3
MAX_PARAMETER = 100  # characters


class BadRequest(ValueError):
    r"""
    An invalid request or post.

    Args:
        message (`str`): What was expected and what was found.
        field (`str`): The invalid key.
    """

    def __init__(self, message: str, field: str):
        super().__init__(message)
        self.field = field


class ImageTooLarge(BadRequest):
    """An image whose file exceeds the limit in bytes, or a request whose images exceed that in pixels."""


@dataclass(frozen=True)
class CheckedRequest:
    r"""
    A request that has passed the checks: its valid posts, and the errors in the places of the others.

    Args:
        posts: The valid posts, by their place in the request.
        errors: The errors of the other posts, by place.
        parameters: Options of the pipeline.
        single: Whether the request is one post rather than a list.
    """

    posts: dict[int, dict[str, Any]]
    errors: dict[int, tuple[dict[str, Any], BadRequest]]
    parameters: dict[str, Any]
    single: bool

    def answer(self, results: Iterable[Mapping[str, Any]]) -> dict[str, Any] | list[dict[str, Any]]:
        """The answer to the request, given the results of its valid posts in order."""
        answers = {place: {**known, **_error(error)} for place, (known, error) in self.errors.items()}
        answers |= {place: _json(result) for place, result in zip(self.posts, results, strict=True)}
        return answers[0] if self.single else [answers[place] for place in range(len(answers))]


class EndpointHandler:
    r"""
    Args:
        path (`str`): Folder of the model, or its name on the Hub; or a folder written by `tgdi export`, which requires
            tgdi_hf with the extra of its format.
        allowed_hosts (*optional*):
            Sources of images: hosts for https (`"pbs.twimg.com"`), or origins (`"http://images.local:8080"`). By
            default the comma-separated value of the environment variable `TGDI_ALLOWED_HOSTS`, or no host if it is
            not set. Redirects are not followed.
        max_posts, max_characters, max_entities, max_image_bytes, max_pixels, max_evidence (`int`, *optional*):
            Limits per request: posts, characters of a text, a caption or an entity, entities of a post (mentions with
            `ambiguous` "all"), bytes of an image file, pixels of all distinct images, which a small file may have many
            of, and entity pairs with `evidence`. By default the environment variables `TGDI_MAX_POSTS`, …, or 64,
            10,000, 16, 10 MB, 300 million and 256.
        timeout (`float`, *optional*, defaults to 5): Seconds for the next packet of an image, and for all of them.
        pipe (*optional*): A pipeline that is already loaded, in place of `path`.
        options: Options of `transformers.pipeline` (`device`, `dtype`, …).
    """

    def __init__(
        self,
        path: str = "",
        *,
        allowed_hosts: Sequence[str] | str | None = None,
        max_posts: int | None = None,
        max_characters: int | None = None,
        max_entities: int | None = None,
        max_image_bytes: int | None = None,
        max_pixels: int | None = None,
        max_evidence: int | None = None,
        timeout: float = 5.0,
        pipe: Any = None,
        **options: Any,
    ):
        hosts = os.environ.get("TGDI_ALLOWED_HOSTS", "") if allowed_hosts is None else allowed_hosts
        self.allowed_origins = self.origins(hosts)
        self.max_posts = _limit("TGDI_MAX_POSTS", max_posts, 64)
        self.max_characters = _limit("TGDI_MAX_CHARACTERS", max_characters, 10_000)
        self.max_entities = _limit("TGDI_MAX_ENTITIES", max_entities, 16)
        self.max_image_bytes = _limit("TGDI_MAX_IMAGE_BYTES", max_image_bytes, 10_000_000)
        self.max_pixels = _limit("TGDI_MAX_PIXELS", max_pixels, 300_000_000)
        self.max_evidence = _limit("TGDI_MAX_EVIDENCE", max_evidence, 256)
        self.timeout = timeout
        self.pipe: Any = pipe
        if pipe is None and os.path.isfile(os.path.join(path, "tgdi_export.json")):
            self.pipe = _exported_pipeline(path, **options)
        elif pipe is None:
            # The operator chose this model, and deploying its handler executes its code in any case.
            self.pipe = pipeline(TASK, model=path, trust_remote_code=True, **options)  # type: ignore[call-overload]  # a task of our own
        # With `ambiguous` "all" every mention of an entity counts.
        self.pipe.reader.max_entities = min(self.pipe.reader.max_entities, self.max_entities)

    @staticmethod
    def origins(hosts: Sequence[str] | str) -> set[tuple[str, str, int]]:
        """Parses hosts into (scheme, host, port); a string is split at commas. Paths and wildcards are refused."""
        if isinstance(hosts, str):
            hosts = [host for host in hosts.split(",") if host.strip()]
        found = set()
        for host in hosts:
            url = host.strip() if "://" in host else f"https://{host.strip()}"
            if urlsplit(url)[2:] not in (("", "", ""), ("/", "", "")) or set("*@") & set(url):
                raise ValueError(f"{host!r} is no host; expected 'pbs.twimg.com' or 'http://images.local:8080'.")
            found.add(_origin(url))
        return found

    def __call__(self, data: Any) -> dict[str, Any] | list[dict[str, Any]]:
        r"""
        Args:
            data: The request.

        Returns:
            The pipeline's result per post. The answer to an invalid post or request is `{"error": …, "field": …}`.
        """
        try:
            request = self.check(data)
            return request.answer(self.results([*request.posts.values()], request.parameters))
        except BadRequest as error:
            return _error(error)

    def check(self, data: Any, deadline: float = math.inf) -> CheckedRequest:
        r"""
        Checks a request and decodes its images, without the model.

        Args:
            data: The request.
            deadline: Time of `time.monotonic` after which no further post is checked.

        Raises:
            BadRequest: The request is invalid. Errors of its posts are recorded instead.
            TimeoutError: `deadline` has passed.
        """
        inputs, parameters = self._request(data)
        posts, errors = {}, {}
        for place, post in enumerate(inputs if isinstance(inputs, list) else [inputs]):
            if time.monotonic() > deadline:
                raise TimeoutError
            try:
                posts[place] = {**self._post(post), "where": f"inputs[{place}]"}
            except BadRequest as error:
                errors[place] = self._identity(post), error
        self._check_load([*posts.values()], parameters)
        return CheckedRequest(posts, errors, parameters, single=not isinstance(inputs, list))

    def results(self, posts: list[dict[str, Any]], parameters: Mapping[str, Any], **options: Any) -> list[Any]:
        r"""
        Runs the pipeline on checked posts.

        Args:
            posts: Posts from `check`, also of several requests.
            parameters: The parameters that these requests share.
            options: Further options of the pipeline, such as `batch_size`.

        Returns:
            The result or the error of each post.

        Raises:
            BadRequest: A parameter does not fit the posts. Other errors are faults of the model or the server.
        """
        try:
            return self.pipe(posts, strict=False, **parameters, **options)
        except ValueError as error:
            if type(error).__name__ != "InvalidOption":  # remote code has a class of its own
                raise
            raise BadRequest(str(error), "parameters") from None

    def _request(self, data: Any) -> tuple[Any, dict[str, Any]]:
        if not isinstance(data, Mapping) or "inputs" not in data:
            raise BadRequest('The request has no `inputs`; expected {"inputs": a post or a list of posts}.', "inputs")
        inputs, parameters = data["inputs"], data.get("parameters")
        if not isinstance(inputs, list | Mapping):
            raise BadRequest(f"`inputs` is {_short(inputs)}; expected a post or a list of posts.", "inputs")
        if isinstance(inputs, list) and not 1 <= len(inputs) <= self.max_posts:
            raise BadRequest(f"`inputs` has {len(inputs)} posts; expected 1 to {self.max_posts}.", "inputs")
        if not isinstance(parameters, Mapping | None):
            raise BadRequest(f"`parameters` is {_short(parameters)}; expected an object.", "parameters")
        parameters = dict(parameters or {})
        if unknown := parameters.keys() - set(PARAMETERS):
            name = _short(min(map(str, unknown)))
            raise BadRequest(f"Unknown parameter {name}; expected {', '.join(PARAMETERS)}.", "parameters")
        for name, value in parameters.items():
            _check_size(value, name, MAX_PARAMETER, "parameters")
        for name in ("drop_none", "evidence", "truncation"):
            if not isinstance(parameters.get(name, False), bool):
                raise BadRequest(f"`{name}` is {_short(parameters[name])}; expected true or false.", "parameters")
        try:
            self.pipe([], strict=False, **parameters)  # the pipeline checks its options before it reads posts
        except (ValueError, TypeError) as error:
            raise BadRequest(str(error), "parameters") from None
        return inputs, parameters

    def _post(self, post: Any) -> dict[str, Any]:
        if not isinstance(post, Mapping):
            raise BadRequest(f"A post is {_short(post)}; expected an object with text, head and tail.", "post")
        if unknown := post.keys() - set(FIELDS):
            name = min(map(str, unknown))[:80]
            meant = " or ".join(self.pipe.reader.expected_keys(name))
            advice = f" Did you mean {meant}?" if meant else ""
            raise BadRequest(f"Unknown key {_short(name)}; expected {', '.join(FIELDS)}.{advice}", name)
        # Python's JSON has NaN, which clients send for empty cells. The pipeline reports it for required keys.
        post = {name: None if name in ("id", "image", "objects") and value != value else value
                for name, value in post.items()}  # fmt: skip
        entities = post.get("entities")
        if isinstance(entities, list) and len(entities) > self.max_entities:
            raise BadRequest(f"`entities` has {len(entities)}; expected up to {self.max_entities}.", "entities")
        for part in entities if isinstance(entities, list) else [entities]:
            _check_size(part, "entities", self.max_characters)
        for name in ("id", "text", "words", "head", "tail", "caption"):
            _check_size(post.get(name), name, self.max_characters)
        if post.get("id") is not None and not self._identity(post):
            raise BadRequest(f"`id` is {_short(post['id'])}; expected a string or an integer.", "id")
        post["image"] = self._image(post.get("image"), "image")
        if (objects := post.get("objects")) is not None:
            if not isinstance(objects, list):
                raise BadRequest(f"`objects` is {_short(objects)}; expected a list of boxes or images.", "objects")
            read = objects[: self.pipe.processor.num_objects]  # the model reads no more of them
            _check_size([one for one in read if isinstance(one, list)], "objects", self.max_characters)
            post["objects"] = [one if isinstance(one, list) else self._image(one, "objects") for one in read]
        return post

    def _identity(self, post: Any) -> dict[str, Any]:
        """The valid `id` of a post, which its error repeats."""
        found = post.get("id") if isinstance(post, Mapping) else None
        is_valid = isinstance(found, str | int) and not isinstance(found, bool)
        return {"id": found} if is_valid and len(str(found)) <= self.max_characters else {}

    def _check_load(self, posts: Sequence[Mapping[str, Any]], parameters: Mapping[str, Any]) -> None:
        """Rejects a request that is small, but whose images or evidence would take gigabytes or minutes."""
        images = {part["bytes"] for post in posts for part in (post["image"], *(post.get("objects") or ()))
                  if isinstance(part, Mapping)}  # fmt: skip
        pixels = sum(map(_pixels, images))
        if pixels > self.max_pixels:
            message = f"The images have {pixels:,} pixels; expected up to {self.max_pixels:,} per request."
            raise ImageTooLarge(message, "image")
        entities = [post["entities"] if isinstance(post.get("entities"), list) else ["head", "tail"] for post in posts]
        pairs = sum(math.comb(len(one), 2) for one in entities)
        if parameters.get("ambiguous") == "all":  # any two places of mentions may form a pair
            pairs = len(posts) * math.perm(self.max_entities, 2)
        if parameters.get("evidence") and pairs > self.max_evidence:
            message = f"With `evidence`, {pairs:,} entity pairs are too many; expected up to {self.max_evidence:,}."
            raise BadRequest(message, "parameters")

    def _image(self, value: Any, field: str) -> dict[str, bytes] | None:
        if value is None:
            return None
        if not isinstance(value, str):
            raise BadRequest(f"`{field}` has {_short(value)}; expected an image in base64, or a URL.", field)
        if value.startswith(("http://", "https://")):
            return {"bytes": self._fetch(value, field)}
        encoded = value.partition(",")[2] if value.startswith("data:") else value
        if len(encoded) > self.max_image_bytes * 4 // 3 + 4:
            raise ImageTooLarge(f"The image in `{field}` is larger than {self.max_image_bytes:,} bytes.", field)
        try:
            content = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError) as error:
            raise BadRequest(f"`{field}` is {_short(value)}, which is not base64: {error}.", field) from None
        if not content:
            raise BadRequest(f"The image in `{field}` is empty.", field)
        return {"bytes": content}

    def _fetch(self, url: str, field: str) -> bytes:
        try:
            allowed = _origin(url) in self.allowed_origins
        except ValueError:
            allowed = False
        if not allowed:
            message = f"`{field}` is {_short(url)}; this server does not fetch from that host. Send base64."
            raise BadRequest(message, field)
        try:
            end, content = time.monotonic() + self.timeout, bytearray()
            with _OPENER.open(url, timeout=self.timeout) as answer:
                while len(content) <= self.max_image_bytes and (part := answer.read1(2**16)):
                    content += part
                    if time.monotonic() > end:
                        raise TimeoutError(f"it took more than {self.timeout:g} seconds")
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise BadRequest(f"`{field}`: {_short(url)} could not be fetched: {error}.", field) from None
        if len(content) > self.max_image_bytes:
            raise ImageTooLarge(f"The image in `{field}` is larger than {self.max_image_bytes:,} bytes.", field)
        return bytes(content)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Refuses redirects, which could lead to a host that is not allowed."""

    def redirect_request(self, *arguments: Any, **options: Any) -> None:
        return None


# Neither proxies of the environment nor redirects.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects)


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url.strip())
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise ValueError(f"Expected an http or https URL; found {url!r}.")
    return parts.scheme, parts.hostname.lower(), parts.port or DEFAULT_PORTS[parts.scheme]


def _exported_pipeline(folder: str, **options: Any) -> Any:
    try:
        from tgdi_hf.export.pipeline_loading import load_pipeline
    except ImportError as error:
        raise ImportError(f"{folder} is an export, which requires tgdi_hf: pip install 'tgdi_hf[onnx]'") from error
    return load_pipeline(folder, **options)


def _error(error: BadRequest) -> dict[str, Any]:
    return {"error": str(error), "field": error.field}


def _limit(variable: str, value: int | None, default: int) -> int:
    name = variable if value is None else variable.removeprefix("TGDI_").lower()
    found = os.environ.get(variable, default) if value is None else value
    if not str(found).isdecimal() or int(found) < 1:
        raise ValueError(f"{name} is {found!r}; expected a whole number, 1 or more.")
    return int(found)


def _check_size(value: Any, name: str, most: int, field: str | None = None) -> None:
    """Rejects a value that would take long to read, or whose nesting no code could follow."""

    def size(part: Any, depth: int = MAX_DEPTH) -> int:
        if isinstance(part, str):
            return max(len(part), 1)  # so that the number of empty words is limited, too
        if isinstance(part, Mapping):
            part = [*part, *part.values()]
        if not isinstance(part, list):
            return 1
        if not depth:
            raise BadRequest(f"`{name}` is nested more than {MAX_DEPTH} levels deep.", field or name)
        return len(part) if len(part) > most else sum(size(inner, depth - 1) for inner in part)

    if (found := size(value)) > most:
        raise BadRequest(f"`{name}` has {found} characters; expected up to {most}.", field or name)


def _pixels(content: bytes) -> int:
    """The pixels of an image by its header; 0 if it has none, which the pipeline reports."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            return image.width * image.height
    except Exception:  # decoders raise arbitrary errors for damaged headers
        return 0


def _short(value: Any) -> str:
    return text if len(text := _REPR.repr(value)) <= 80 else text[:77] + "…"


# Unlike `repr`, it takes neither long for large values nor fails for deeply nested ones.
_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 100


def _json(value: Any) -> Any:
    """Converts arrays to lists, rounded to four digits."""
    if isinstance(value, Mapping):
        return {key: _json(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_json(part) for part in value]
    return value.round(4).tolist() if hasattr(value, "tolist") else value

"""The request handler of Hugging Face Inference Endpoints, and of any server that takes JSON.

This file is copied into a model repository as `handler.py` and requires only transformers and the code beside it.

A request is `{"inputs": POST or [POST, …], "parameters": {…}}`; `docs/serving.schema.json` specifies requests and
answers. Images are base64 strings, or URLs of hosts that the operator allows: a client must not make the server fetch
arbitrary URLs or open local files.

`tgdi serve` applies the same checks and limits, and calls the steps of the handler one by one.
"""

import base64
import binascii
import http.client
import os
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from transformers import pipeline

TASK = "multimodal-relation-extraction"
PARAMETERS = ("top_k", "drop_none", "evidence", "pairs", "ambiguous", "threshold", "truncation")
FIELDS = ("id", "text", "words", "head", "tail", "entities", "image", "objects", "caption")
DEFAULT_PORTS = {"http": 80, "https": 443}


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
    """An image whose file exceeds the limit in bytes."""


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
        max_posts, max_characters, max_entities, max_image_bytes (`int`, *optional*):
            Limits per request: posts, characters of a text or caption, entities of a post (mentions with `ambiguous`
            "all"), and bytes of an image file. By default the environment variables `TGDI_MAX_POSTS`, …, or 64,
            10,000, 16 and 10 MB.
        timeout (`float`, *optional*, defaults to 5): Seconds to wait for the next packet of an image.
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
        timeout: float = 5.0,
        pipe: Any = None,
        **options: Any,
    ):
        if allowed_hosts is None:
            allowed_hosts = os.environ.get("TGDI_ALLOWED_HOSTS", "")
        self.allowed_origins = self.origins(allowed_hosts)
        self.max_posts = _limit("TGDI_MAX_POSTS", max_posts, 64)
        self.max_characters = _limit("TGDI_MAX_CHARACTERS", max_characters, 10_000)
        self.max_entities = _limit("TGDI_MAX_ENTITIES", max_entities, 16)
        self.max_image_bytes = _limit("TGDI_MAX_IMAGE_BYTES", max_image_bytes, 10_000_000)
        self.timeout = timeout
        self.pipe: Any
        if pipe is not None:
            self.pipe = pipe
        elif os.path.isfile(os.path.join(path, "tgdi_export.json")):
            self.pipe = _exported_pipeline(path, **options)
        else:
            # The operator chose this model, and deploying its handler executes its code in any case.
            self.pipe = pipeline(TASK, model=path, trust_remote_code=True, **options)  # type: ignore[call-overload]  # a task of our own
        # With `ambiguous` "all" every mention of an entity counts.
        self.pipe.reader.max_entities = min(self.pipe.reader.max_entities, self.max_entities)

    @staticmethod
    def origins(hosts: Sequence[str] | str) -> set[tuple[str, str, int]]:
        """Parses hosts into (scheme, host, port); a single string is split at commas."""
        if isinstance(hosts, str):
            hosts = [host for host in hosts.split(",") if host.strip()]
        return {_origin(host if "://" in host else f"https://{host.strip()}") for host in hosts}

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

    def check(self, data: Any) -> CheckedRequest:
        r"""
        Checks a request and decodes its images, without the model.

        Args:
            data: The request.

        Raises:
            BadRequest: The request is invalid. Errors of its posts are recorded instead.
        """
        inputs, parameters = self._request(data)
        posts, errors = {}, {}
        for place, post in enumerate(inputs if isinstance(inputs, list) else [inputs]):
            try:
                posts[place] = {**self._post(post), "where": f"inputs[{place}]"}
            except BadRequest as error:
                identity = post.get("id") if isinstance(post, Mapping) else None
                known = {"id": identity} if isinstance(identity, str | int) else {}
                errors[place] = known, error
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
            BadRequest: A parameter is invalid.
        """
        try:
            return self.pipe(posts, strict=False, **parameters, **options)
        except (ValueError, TypeError) as error:  # errors of posts are in their places, so a parameter is invalid
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
        unknown = parameters.keys() - set(PARAMETERS)
        if unknown:
            raise BadRequest(
                f"Unknown parameter {_short(min(map(str, unknown)))}; expected {', '.join(PARAMETERS)}.",
                "parameters",
            )
        for name in ("drop_none", "evidence", "truncation"):
            if not isinstance(parameters.get(name, False), bool):
                raise BadRequest(f"`{name}` is {_short(parameters[name])}; expected true or false.", "parameters")
        self.results([], parameters)  # the pipeline checks its options before it reads posts
        return inputs, parameters

    def _post(self, post: Any) -> dict[str, Any]:
        if not isinstance(post, Mapping):
            raise BadRequest(f"A post is {_short(post)}; expected an object with text, head and tail.", "post")
        unknown = post.keys() - set(FIELDS)
        if unknown:
            name = min(map(str, unknown))
            meant = " or ".join(self.pipe.reader.expected_keys(name))
            advice = f" Did you mean {meant}?" if meant else ""
            raise BadRequest(f"Unknown key {_short(name)}; expected {', '.join(FIELDS)}.{advice}", name)
        # Python's JSON has NaN, which clients send for empty cells. The pipeline reports it for required keys.
        post = {name: None if name in ("id", "image", "objects") and value != value else value
                for name, value in post.items()}  # fmt: skip
        for name in ("text", "words", "caption"):
            value = post.get(name)
            size = sum(len(str(part)) for part in (value if isinstance(value, list | str) else ()))
            if size > self.max_characters:
                raise BadRequest(f"`{name}` has {size} characters; expected up to {self.max_characters}.", name)
        entities = post.get("entities")
        if isinstance(entities, list) and len(entities) > self.max_entities:
            raise BadRequest(f"`entities` has {len(entities)}; expected up to {self.max_entities}.", "entities")
        if not isinstance(post.get("id"), str | int | None):
            raise BadRequest(f"`id` is {_short(post['id'])}; expected a string or a number.", "id")
        post = {**post, "image": self._image(post.get("image"), "image")}
        if isinstance(post.get("objects"), list):
            # Lists are boxes; any other object is an image, which must be part of the request or from an allowed host.
            post["objects"] = [
                part if isinstance(part, list) else self._image(part, "objects") for part in post["objects"][:8]
            ]
        return post

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
            raise BadRequest(
                f"`{field}` is {_short(url)}; this server does not fetch from that host. Send base64.", field
            )
        try:
            with _OPENER.open(url, timeout=self.timeout) as answer:
                content = answer.read(self.max_image_bytes + 1)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise BadRequest(f"`{field}`: {_short(url)} could not be fetched: {error}.", field) from None
        if len(content) > self.max_image_bytes:
            raise ImageTooLarge(f"The image in `{field}` is larger than {self.max_image_bytes:,} bytes.", field)
        return content


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
    return int(os.environ.get(variable, default)) if value is None else value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"


def _json(value: Any) -> Any:
    """Converts arrays to lists, rounded to four digits."""
    if isinstance(value, Mapping):
        return {key: _json(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_json(part) for part in value]
    return value.round(4).tolist() if hasattr(value, "tolist") else value

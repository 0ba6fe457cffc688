"""The HTTP application: predictions, health and metrics."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio.to_thread
from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from .. import __version__
from ..hub.handler import BadRequest, CheckedRequest, EndpointHandler, ImageTooLarge
from .batching import Batcher, QueueFull, Stopping
from .body import Refused, parse_json, read_body
from .metrics import Metrics
from .schema import definitions

logger = logging.getLogger(__name__)

MAX_TIMEOUT = 86_400  # seconds
MAX_BODIES = 16  # of the largest size; the server holds so many bytes of requests
DISCONNECTED = 499  # in metrics alone: nobody receives the answer
STATUSES = {
    400: "The body is not JSON.",
    408: "The body did not arrive within the time limit.",
    413: "The body or an image is too large.",
    415: "The body is not declared as uncompressed JSON.",
    422: "The request, its parameters, or its only post is invalid.",
    429: "The queue is full; retry after the seconds in Retry-After.",
    500: "The model failed; the server's log has the reason.",
    503: "The server is starting or stopping.",
    504: "No answer within the time limit.",
}
EXAMPLE = {"inputs": {"text": "Vekan Bolur joins Nudakol Band", "head": "Vekan Bolur", "tail": "Nudakol Band"}}


@dataclass(frozen=True)
class Limits:
    r"""
    Limits of the server, beside those of the handler.

    Args:
        max_batch: Posts per batch of the model.
        max_wait_ms: Milliseconds that a request waits for others at most, while the model is idle.
        max_queue: Posts that may wait, those that are being received included.
        max_body_bytes: Bytes per request. All requests that are received or wait have up to `MAX_BODIES` times as many.
        timeout: Seconds from a request to its answer.
    """

    max_batch: int = 16
    max_wait_ms: float = 5
    max_queue: int = 256
    max_body_bytes: int = 32_000_000
    timeout: float = 30


class Service:
    r"""
    Answers requests by running the handler's steps: it checks requests in threads and their posts share batches.

    Args:
        handler: Checks requests and runs the model.
        name: Name of the model, for `/health`.
        limits: Limits.

    Raises:
        ValueError: A limit is out of range.
    """

    def __init__(self, handler: EndpointHandler, name: str, limits: Limits):
        if limits.max_queue < handler.max_posts:
            raise ValueError(
                f"The queue holds {limits.max_queue} posts, but a request may have {handler.max_posts}; increase "
                "--max-queue, or lower TGDI_MAX_POSTS."
            )
        if limits.max_body_bytes < 1:
            raise ValueError(f"--max-body-bytes is {limits.max_body_bytes}; expected more than 0.")
        if not 0 < limits.timeout <= MAX_TIMEOUT:
            raise ValueError(f"--timeout is {limits.timeout}; expected more than 0, and up to {MAX_TIMEOUT:,} seconds.")
        if not limits.max_wait_ms < 1000 * limits.timeout:
            raise ValueError(
                f"--max-wait-ms is {limits.max_wait_ms}; expected less than --timeout, {limits.timeout:g} seconds."
            )
        self.handler, self.name, self.limits = handler, name, limits
        self.metrics = Metrics(lambda: self.batcher.waiting)
        run = partial(handler.results, batch_size=limits.max_batch)
        self.batcher = Batcher(
            run, limits.max_batch, limits.max_wait_ms / 1000, limits.max_queue, self.metrics.batches.observe
        )
        self._receiving = self._bytes = 0
        self._status = "starting"

    @property
    def status(self) -> str:
        """`"starting"`, `"ready"`, `"stopping"` or, if the thread of the model has ended, `"failed"`."""
        return "failed" if self._status == "ready" and not self.batcher.is_alive else self._status

    def start(self) -> None:
        """Starts the thread of the model."""
        self.batcher.start()
        self._status = "ready"

    def stop(self) -> None:
        """Refuses new requests; those in the queue are answered."""
        self._status = "stopping"
        self.batcher.stop()

    async def predict(self, request: Request) -> Response:
        """Answers a request, also an invalid one, and counts it."""
        start = time.monotonic()
        headers = {}
        try:
            status, content = 200, await self._answer(request)
        except Refused as refused:
            status, content = refused.status, _as_json(refused.answer)
            headers = {} if refused.retry_after is None else {"Retry-After": str(refused.retry_after)}
            if status == 503:  # a load balancer's next connection may reach another server
                headers["Connection"] = "close"
        except ClientDisconnect:
            status, content = DISCONNECTED, b""
        except Exception:  # a fault of one request must not end the server; the log has it
            logger.exception("A request failed")
            message = "The model failed on this request; the server's log has the reason."
            status, content = 500, _as_json({"error": message, "field": "inputs"})
        self.metrics.count(status, time.monotonic() - start)
        return Response(content, status, headers, "application/json")

    async def _answer(self, request: Request) -> bytes:
        if self.status != "ready":
            raise self._unavailable()
        held = 0

        def hold(size: int) -> None:
            nonlocal held
            if self._bytes + size > MAX_BODIES * self.limits.max_body_bytes:
                raise self._full(f"the requests in it have {self._bytes:,} bytes")
            self._bytes, held = self._bytes + size, held + size

        try:
            return await self._answer_by(time.monotonic() + self.limits.timeout, request, hold)
        finally:
            self._bytes -= held

    async def _answer_by(self, deadline: float, request: Request, hold: Callable[[int], None]) -> bytes:
        try:
            self.batcher.check_room(self._receiving + 1)
            checked = await self._receive(request, deadline, hold)
            if not checked.posts:
                return _as_json(checked.answer([]))
            answer = self.batcher.submit([*checked.posts.values()], checked.parameters)
        except Stopping:
            raise self._unavailable() from None
        except QueueFull as full:
            raise self._full(str(full)) from None
        try:
            async with _until(deadline):
                results = await asyncio.wrap_future(answer)
        except TimeoutError:
            raise self._late() from None
        except BadRequest as error:
            raise _refusal(error) from None
        if checked.single and "error" in results[0]:
            raise Refused(422, results[0]["error"], results[0]["field"], **_identity(results[0]))
        if checked.parameters.get("evidence"):  # arrays of many numbers
            return await _in_thread(lambda: _as_json(checked.answer(results)))
        return _as_json(checked.answer(results))

    async def _receive(self, request: Request, deadline: float, hold: Callable[[int], None]) -> CheckedRequest:
        """Reads and checks a request."""
        self._receiving += 1
        try:
            try:
                async with _until(deadline):
                    body = await read_body(request, self.limits.max_body_bytes, hold)
            except TimeoutError:
                message = f"The request did not arrive within {self.limits.timeout:g} seconds; expected all of it."
                raise Refused(408, message, "body") from None
            try:
                async with _until(deadline):
                    return await _in_thread(partial(self._check, body, deadline))
            except TimeoutError:
                raise self._late() from None
        finally:
            self._receiving -= 1

    def _check(self, body: bytes, deadline: float) -> CheckedRequest:
        try:
            checked = self.handler.check(parse_json(body), deadline)
        except BadRequest as error:
            raise _refusal(error) from None
        if checked.single and checked.errors:
            known, reason = checked.errors[0]
            raise _refusal(reason, known)
        return checked

    def _late(self) -> Refused:
        message = f"No answer within {self.limits.timeout:g} seconds. Send fewer posts per request, or retry later."
        return Refused(504, message, "inputs")

    def _full(self, reason: str) -> Refused:
        return Refused(429, f"The queue is full: {reason}. Retry later, or send fewer posts.", "inputs", retry_after=1)

    def _unavailable(self) -> Refused:
        return Refused(503, f"The server is {self.status}; retry later, or at another server.", "server", retry_after=1)


def create_app(handler: EndpointHandler, name: str = "", limits: Limits | None = None) -> FastAPI:
    r"""
    Creates the application that `tgdi serve` runs.

    Args:
        handler: Checks requests and runs the model.
        name: Name of the model, for `/health`.
        limits: Limits of the server.

    Returns:
        An ASGI application with its `Service` as `app.state.service`.

    Raises:
        ValueError: A limit is out of range.
    """
    service = Service(handler, name, Limits() if limits is None else limits)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        service.stop()
        await _in_thread(partial(service.batcher.close, service.limits.timeout))

    app = FastAPI(title="tgdi_hf", version=__version__, description=f"Relations in posts, by {name}", lifespan=lifespan,
                  redoc_url=None)  # fmt: skip
    app.state.service = service

    @app.post(
        "/predict",
        summary="Predict relations",
        description="An invalid post in a list is answered in its place, with status 200.",
        responses={
            200: {"description": "The answer per post.", **_content("Answer")},
            **{status: {"description": text, **_content("Error")} for status, text in STATUSES.items()},
        },
        openapi_extra={"requestBody": {"required": True, **_content("Request", example=EXAMPLE)}},
    )
    async def predict(request: Request) -> Response:
        return await service.predict(request)

    @app.get(
        "/health",
        summary="Readiness",
        responses={
            200: {"description": "The server answers requests.", **_content("Health")},
            503: {"description": "It does not.", **_content("Health")},
        },
    )
    async def health() -> Response:
        return _health(service, service.status == "ready")

    @app.get(
        "/health/live",
        summary="Liveness",
        responses={
            200: {"description": "The process works.", **_content("Health")},
            503: {"description": "It must be restarted.", **_content("Health")},
        },
    )
    async def live() -> Response:
        return _health(service, service.status != "failed")

    @app.get("/metrics", summary="Metrics for Prometheus", response_class=Response)
    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> Response:
        message = f"{request.method} {request.url.path[:80]}: {error.detail}; expected POST /predict (see /docs)."
        return Response(
            _as_json({"error": message, "field": "path"}), error.status_code, error.headers, "application/json"
        )

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = get_openapi(
                title=app.title, version=app.version, description=app.description, routes=app.routes
            )
            app.openapi_schema["components"] = {"schemas": definitions("#/components/schemas/{model}")}
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
    return app


def _content(model: str, **extra: Any) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{model}"}, **extra}}}


def _health(service: Service, good: bool) -> Response:
    content = {"status": service.status, "model": service.name, "version": __version__}
    return Response(_as_json(content), 200 if good else 503, media_type="application/json")


def _refusal(error: BadRequest, known: Mapping[str, Any] | None = None) -> Refused:
    return Refused(413 if isinstance(error, ImageTooLarge) else 422, str(error), error.field, **(known or {}))


def _identity(result: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": result["id"]} if "id" in result else {}


def _as_json(value: Any) -> bytes:
    return json.dumps(value, allow_nan=False).encode()


def _until(deadline: float) -> asyncio.Timeout:
    """A time limit that ends at a time of `time.monotonic`; event loops may have another clock."""
    return asyncio.timeout(deadline - time.monotonic())


async def _in_thread(work: Any) -> Any:
    # A fetched image may take longer than the time limit of its request.
    return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)

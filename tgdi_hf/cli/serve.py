"""`tgdi serve`."""

import logging
from typing import Annotated

import typer

from .arguments import negative_label
from .options import BF16, Checkpoint, Negative, NoNegative, Revision
from .pipelines import load_pipeline


def serve(
    checkpoint: Checkpoint,
    host: Annotated[str, typer.Option(help="Network interface; '0.0.0.0' admits other machines.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the server; 0 takes a free one.")] = 8000,
    max_batch: Annotated[int, typer.Option(min=1, help="Posts per batch of the model.")] = 16,
    max_wait_ms: Annotated[
        float,
        typer.Option(min=0, help="Milliseconds that a request waits for others to share its batch, at most."),
    ] = 5,
    max_queue: Annotated[int, typer.Option(min=1, help="Posts that may wait; more are refused with status 429.")] = 256,
    max_body_bytes: Annotated[
        int, typer.Option(min=1, envvar="TGDI_MAX_BODY_BYTES", help="Bytes per request.")
    ] = 32_000_000,
    timeout: Annotated[float, typer.Option(help="Seconds from a request to its answer, at most.")] = 30,
    device: Annotated[
        str | None,
        typer.Option(help="Device of the model, such as cpu or cuda:1.", show_default="the accelerator, if any"),
    ] = None,
    bf16: BF16 = False,
    negative: Negative = None,
    no_negative: NoNegative = False,
    revision: Revision = None,
    access_log: Annotated[bool, typer.Option("--access-log", help="Log each request.")] = False,
) -> None:
    """Serve a checkpoint or an export over HTTP. Needs FastAPI: the extra `serve`.

    Requests that arrive together share a batch. SIGTERM refuses new requests and answers those that have arrived.
    The environment variables TGDI_ALLOWED_HOSTS, TGDI_MAX_POSTS, TGDI_MAX_CHARACTERS, TGDI_MAX_ENTITIES,
    TGDI_MAX_IMAGE_BYTES, TGDI_MAX_PIXELS and TGDI_MAX_EVIDENCE limit requests as in the endpoint handler.

    Example: tgdi serve runs/demo
    """
    from ..extras import require

    for module, package in (("fastapi", "FastAPI"), ("prometheus_client", "prometheus-client"), ("uvicorn", "uvicorn")):
        require(module, "serve", "The server", package=package)
    from ..hub.handler import EndpointHandler
    from ..serving.app import Limits, create_app
    from ..serving.server import open_socket, run_app

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    chosen = negative_label(negative, no_negative)
    limits = Limits(max_batch, max_wait_ms, max_queue, max_body_bytes, timeout)
    with open_socket(host, port) as opened:
        pipe = load_pipeline(checkpoint, bf16, chosen, revision, device)
        run_app(create_app(EndpointHandler(pipe=pipe), checkpoint, limits), opened, access_log)

"""The server process: its socket, its log, and its end."""

import logging
import math
import signal
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI

logger = logging.getLogger(__name__)


def open_socket(host: str, port: int) -> socket.socket:
    r"""
    Reserves a port, so that one that is taken is reported before a model is loaded. Nothing listens yet.

    Args:
        host: Name or address of a network interface.
        port: The port; 0 takes a free one.

    Raises:
        OSError: The interface does not exist, or the port is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        opened = socket.socket(family, kind, protocol)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind(address)
        except OSError:
            opened.close()
            raise
    except OSError as error:
        raise OSError(f"Cannot serve on {host}, port {port}: {error}. Choose another --host or --port.") from error
    return opened


class _Server(uvicorn.Server):
    """Tells the application about a signal at once, and the log when it accepts requests."""

    def __init__(self, config: uvicorn.Config, on_start: Callable[[], None], on_stop: Callable[[], None]):
        super().__init__(config)
        self.on_start, self.on_stop = on_start, on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.on_start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.on_stop()
        super().handle_exit(sig, frame)


def run_app(app: FastAPI, opened: socket.socket, access_log: bool = False) -> None:
    r"""
    Serves until SIGTERM or SIGINT; then refuses new requests, answers those that have arrived, and returns. A second
    SIGINT ends at once.

    Args:
        app: The application of `create_app`.
        opened: The socket of `open_socket`.
        access_log: Log each request.
    """
    service = app.state.service
    host, port = opened.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host

    def announce() -> None:
        logger.info("Serving %s at http://%s:%d/predict, documented at /docs", service.name, shown, port)

    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=access_log,
        lifespan="on",
        server_header=False,
        # Every request is answered within its time limit.
        timeout_graceful_shutdown=math.ceil(service.limits.timeout) + 5,
    )
    server = _Server(config, announce, service.stop)
    # uvicorn repeats the signals that ended it, for the handlers from before it ran.
    before = {number: signal.signal(number, server.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        server.run([opened])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    logger.info("Stopped")

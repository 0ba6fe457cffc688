"""The server on a port of this machine. `tests/cli/test_examples.py` starts it as a process."""

import json
import logging
import os
import signal
import socket
import threading
import time
import urllib.error
import urllib.request

import pytest

from tgdi_hf.serving.server import open_socket, run_app

from .test_app import echoed


def send(port, text):
    body = json.dumps(echoed(text)).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/predict", body, headers={"Content-Type": "application/json"}
    )
    return json.loads(urllib.request.urlopen(request, timeout=10).read())


def until(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_after_its_answers(app_of, echo, caplog, number):
    app = app_of(echo)
    opened = open_socket("127.0.0.1", 0)
    port = opened.getsockname()[1]
    answers, errors = {}, []

    def client(text):
        answers[text] = send(port, text)

    def visit():
        try:
            until(lambda: app.state.service.status == "ready")
            clients = [threading.Thread(target=client, args=("wait",))]
            clients[0].start()
            until(echo.entered.is_set)
            clients.append(threading.Thread(target=client, args=("queued",)))
            clients[1].start()
            until(lambda: app.state.service.batcher.waiting == 1)
            os.kill(os.getpid(), number)
            until(lambda: app.state.service.status == "stopping")

            def refused():
                try:
                    answers["late"] = send(port, "late")
                except urllib.error.HTTPError as error:
                    answers.update({} if error.code == 503 else {"late": error.code})
                except OSError:  # the port is closed
                    return True
                return False

            until(refused)
            echo.open.set()
            for one in clients:
                one.join(10)
        except BaseException as error:
            errors.append(error)
            echo.open.set()
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    visitor = threading.Thread(target=visit)
    visitor.start()
    with caplog.at_level(logging.INFO):
        run_app(app, opened)
    visitor.join(10)
    assert errors == []
    assert {text: answer["relation"] for text, answer in answers.items()} == {"wait": "wait", "queued": "queued"}
    assert signal.getsignal(number) is before
    assert f"Serving tiny at http://127.0.0.1:{port}/predict" in caplog.text and "Stopped" in caplog.text


def test_a_port_that_is_taken_is_reported():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(
            OSError, match=f"Cannot serve on 127.0.0.1, port {port}: .*in use.*another --host or --port"
        ):
            open_socket("127.0.0.1", port)
    with pytest.raises(OSError, match="Cannot serve on no.such.host.invalid, port 80"):
        open_socket("no.such.host.invalid", 80)


def test_nothing_listens_before_the_model_is_loaded():
    with open_socket("127.0.0.1", 0) as opened, pytest.raises(ConnectionRefusedError):
        socket.create_connection(opened.getsockname(), timeout=5)


@pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
def test_ipv6():
    try:
        opened = open_socket("::1", 0)
    except OSError:
        pytest.skip("needs an IPv6 loopback interface")
    with opened:
        assert opened.family == socket.AF_INET6

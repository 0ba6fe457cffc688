"""The application in this process. The pipeline is a stand-in, except where answers are compared with the model's."""

import asyncio
import json
import logging
import re
import time

import pytest
from pydantic import TypeAdapter

from tgdi_hf import MultimodalRelationExtractionPipeline
from tgdi_hf.hub.handler import EndpointHandler
from tgdi_hf.serving.app import Limits, create_app
from tgdi_hf.serving.schema import Answer, definitions

from ..hub.test_handler import BAD, BASE64
from .conftest import HANDLER, POST, ask, client_of, post, until


def echoed(text, **keys):
    return {"inputs": {"text": text, "head": [0, 1], "tail": [1, 2], **keys}}


def close(value):
    """Numbers of a batch differ in their last digits from those of another batch."""
    if isinstance(value, dict):
        return {key: close(part) for key, part in value.items()}
    if isinstance(value, list):
        return [close(part) for part in value]
    return pytest.approx(value, abs=1e-5) if isinstance(value, float) else value


def test_answers_are_those_of_the_pipeline(app_of, pipe):
    posts = [{**POST, "id": "a"}, {"text": "Ann meets Bob", "entities": ["Ann", "Bob"]}]
    parameters = {"top_k": 2, "pairs": "independent"}
    app = app_of(pipe)
    single, many, evidence = ask(
        app,
        {"inputs": posts[0], "parameters": parameters},
        {"inputs": posts, "parameters": parameters},
        {"inputs": {**POST, "image": BASE64}, "parameters": {"evidence": True}},
    )
    expected = pipe(posts, **parameters)
    assert [answer.status_code for answer in (single, many, evidence)] == [200] * 3
    assert single.json() == close(expected[0]) and many.json() == close(expected)
    assert len(evidence.json()["evidence"]["cosine"]) == 1
    for answer in (single, many, evidence):
        assert answer.headers["content-type"] == "application/json"
        TypeAdapter(Answer).validate_python(answer.json())


def test_concurrent_requests_receive_their_own_answers(app_of, pipe, corpus):
    """64 requests, of which every fourth is invalid, share batches; each good one has the answer of the pipeline."""
    rows = [corpus["test"][i % 32] for i in range(64)]
    posts = [{"id": i, **{key: row[key] for key in ("text", "head", "tail")}} for i, row in enumerate(rows)]
    expected = pipe(posts)
    for i in range(0, 64, 4):  # some found by the checks, others in the batch
        posts[i] |= [{"tail": [0, 999]}, {"image": "?"}, {"image": BASE64[:80]}, {"tail": "Nixon"}][i // 4 % 4]
    app = app_of(pipe, max_wait_ms=200)
    answers = ask(app, *({"inputs": one} for one in posts))
    for i, answer in enumerate(answers):
        assert answer.json()["id"] == i
        if i % 4:
            assert answer.status_code == 200 and answer.json() == close(expected[i])
        else:
            assert answer.status_code == 422 and answer.json()["field"] in ("tail", "image")
    metrics = app.state.service.metrics.text().decode()
    assert 'tgdi_requests_total{status="200"} 48.0' in metrics
    assert 'tgdi_requests_total{status="422"} 16.0' in metrics
    assert float(re.search(r"^tgdi_batch_posts_count (.+)$", metrics, re.M)[1]) < 20


@pytest.fixture(scope="module")
def beside_each_other(pipe_of_three_objects):
    """The answers to the handler's table and, sent between its requests, to a valid one; and the expected one."""
    app = create_app(EndpointHandler(pipe=pipe_of_three_objects, **HANDLER), "tiny", Limits(max_wait_ms=50))
    bodies = [body for request, _, _ in BAD for body in (request, {"inputs": POST})]
    answers = ask(app, *bodies)
    return answers[::2], answers[1::2], pipe_of_three_objects(POST)


@pytest.mark.parametrize("number", range(len(BAD)))
def test_invalid_requests_have_a_status(number, beside_each_other):
    _, field, message = BAD[number]
    answers, neighbours, expected = beside_each_other
    answer, neighbour = answers[number], neighbours[number]
    content = answer.json()
    if isinstance(content, list):  # an invalid post of a list is answered in its place
        assert answer.status_code == 200
        (content,) = content
    elif "larger than" in message:
        assert answer.status_code == 413
    else:
        assert answer.status_code == 422
    assert content["field"] == field and message in content["error"]
    TypeAdapter(Answer).validate_python(content)
    assert neighbour.status_code == 200 and neighbour.json() == close(expected)


@pytest.mark.parametrize(
    ("body", "headers", "status", "field", "message"),
    [
        (b"", {}, 400, "body", "The body is empty; expected JSON"),
        (b'{"inputs": ', {}, 400, "body", "not JSON: Expecting value: line 1 column 12"),
        (b"\x89PNG\r\n", {}, 400, "body", "not UTF-8, from byte 0"),
        (b"[" * 20_000, {}, 400, "body", "nested too deeply"),
        (b"9" * 5000, {}, 400, "body", "Exceeds the limit"),
        (b"{}", {"Content-Type": "text/plain"}, 415, "Content-Type", "is text/plain; expected application/json"),
        (b"{}", {"Content-Type": "multipart/form-data; boundary=a"}, 415, "Content-Type", "base64"),
        (b"{}", {"Content-Type": ""}, 415, "Content-Type", "is missing"),
        (b"{}", {"Content-Encoding": "gzip"}, 415, "Content-Encoding", "is gzip; expected an uncompressed body"),
        (b'"' + b"a" * 50_000 + b'"', {}, 413, "body", "has 50,002 bytes; expected at most 50,000. Send fewer posts"),
        (b"null", {}, 422, "inputs", "has no `inputs`"),
        (b'{"inputs": {"text": "Ann \\ud83d Bob", "head": "Ann", "tail": "Bob"}}', {}, 422, "text", "lone surrogate"),
        (b'{"inputs": {"text": NaN, "head": "Ann", "tail": "Bob"}}', {}, 422, "text", "the cell is empty"),
    ],
)  # fmt: skip
def test_malformed_bodies_have_a_status(app_of, pipe, body, headers, status, field, message):
    async def send():
        async with client_of(app_of(pipe, max_body_bytes=50_000, max_wait_ms=50)) as client:
            return await asyncio.gather(post(client, body, **headers), post(client, {"inputs": POST}))

    answer, neighbour = asyncio.run(send())
    assert (answer.status_code, answer.json()["field"]) == (status, field)
    assert message in answer.json()["error"]
    assert neighbour.status_code == 200 and "relation" in neighbour.json()


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/predict", 405), ("POST", "/", 404), ("GET", "/predict/a", 404)]
)
def test_other_paths_and_methods_name_the_right_one(app_of, echo, method, path, status):
    async def send():
        async with client_of(app_of(echo)) as client:
            return await client.request(method, path)

    answer = asyncio.run(send())
    assert answer.status_code == status and answer.json()["field"] == "path"
    assert "expected POST /predict" in answer.json()["error"]


def test_lists_without_a_valid_post_do_not_wait_for_the_model(app_of, echo):
    (answer,) = ask(app_of(echo), {"inputs": [5, {"texts": "a", "id": 7}]})
    assert answer.status_code == 200
    first, second = answer.json()
    assert first["field"] == "post" and (second["id"], second["field"]) == (7, "texts")
    assert echo.calls == []


def test_places_and_identities_of_invalid_posts(app_of, pipe):
    posts = [POST, {**POST, "id": 7, "tail": "Nixon"}, {**POST, "id": 8, "image": "?"}, {**POST, "id": 9}]
    many, single = ask(app_of(pipe), {"inputs": posts}, {"inputs": posts[1]})
    assert ["error" in one for one in many.json()] == [False, True, True, False]
    assert [one.get("id") for one in many.json()] == [None, 7, 8, 9]
    assert many.json()[1]["error"].startswith("inputs[1]: ")
    assert single.status_code == 422 and single.json()["id"] == 7


@pytest.mark.parametrize("failing", ["boom", "value"])
def test_one_failing_request_spoils_no_other_and_is_logged(app_of, echo, caplog, failing):
    async def send():
        async with client_of(app_of(echo, max_wait_ms=100)) as client:
            bodies = [echoed(text) for text in ("one", failing, "two")]
            return await asyncio.gather(*(post(client, body) for body in bodies))

    with caplog.at_level(logging.ERROR):
        one, boom, two = asyncio.run(send())
    assert (one.json()["relation"], two.json()["relation"]) == ("one", "two")
    assert boom.status_code == 500
    assert boom.json() == {
        "error": "The model failed on this request; the server's log has the reason.",
        "field": "inputs",
    }
    assert sorted(echo.calls[0]) == sorted(["one", failing, "two"]) and "out of memory" in caplog.text


def test_a_parameter_that_only_the_model_refuses(app_of, model, processor):
    """All pairs of a post require the label for no relation; its neighbours do not."""
    names = ["no_relation", *(f"relation {i}" for i in range(1, model.config.num_labels))]
    model.config.id2label = dict(enumerate(names))
    model.config.label2id = {name: i for i, name in enumerate(names)}
    model.config.negative_label = "None"
    undeclared = MultimodalRelationExtractionPipeline(model=model, processor=processor)
    entities = {"inputs": {"text": "Ann meets Bob", "entities": ["Ann", "Bob"]}}
    good, bad = ask(app_of(undeclared, max_wait_ms=100), {"inputs": POST}, entities)
    assert good.status_code == 200
    assert bad.status_code == 422 and bad.json()["field"] == "parameters"
    assert "requires the label for no relation" in bad.json()["error"]


def test_a_full_queue_refuses_before_it_reads(app_of, echo):
    async def body_that_nobody_may_read():
        pytest.fail("the body was read")
        yield b""

    async def send():
        app = app_of(echo, handler={"max_posts": 2}, max_queue=2)
        async with client_of(app) as client:
            waiting = [asyncio.create_task(post(client, echoed("wait")))]
            await until(echo.entered.is_set)
            waiting += [asyncio.create_task(post(client, echoed(text))) for text in ("one", "two")]
            await until(lambda: app.state.service.batcher.waiting == 2)
            refused = await client.post(
                "/predict", content=body_that_nobody_may_read(), headers={"Content-Type": "application/json"}
            )
            echo.open.set()
            answers = await asyncio.gather(*waiting)
            return refused, answers, await post(client, echoed("three"))

    refused, answers, later = asyncio.run(send())
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    assert refused.json()["error"] == (
        "The queue is full: 2 posts are waiting; expected at most 2. Retry later, or send fewer posts."
    )
    assert [answer.json()["relation"] for answer in (*answers, later)] == ["wait", "one", "two", "three"]


def post_slowly(client, size, go):
    """A request of which `size` bytes are sent at once, and the others when `go` is set."""
    body = json.dumps(echoed("slow")).encode()

    async def parts():
        yield body[:size]
        await go.wait()
        yield body[size:]

    headers = {"Content-Type": "application/json"}
    return asyncio.create_task(client.post("/predict", content=parts(), headers=headers))


def test_requests_that_are_received_take_room(app_of, echo):
    async def send():
        go = asyncio.Event()

        app = app_of(echo, handler={"max_posts": 1}, max_queue=1)
        async with client_of(app) as client:
            first = post_slowly(client, 0, go)
            await until(lambda: app.state.service._receiving == 1)
            refused = await post(client, echoed("other"))
            go.set()
            return refused, await first, app.state.service._receiving

    refused, first, receiving = asyncio.run(send())
    assert refused.status_code == 429 and first.status_code == 200 and receiving == 0


def test_bodies_are_limited_together(app_of, echo, monkeypatch):
    monkeypatch.setattr("tgdi_hf.serving.app.MAX_BODIES", 1)

    async def send():
        go = asyncio.Event()
        app = app_of(echo, max_body_bytes=100)
        async with client_of(app) as client:
            first = post_slowly(client, 60, go)
            await until(lambda: app.state.service._bytes == 60)
            refused = await post(client, echoed("other"))
            go.set()
            answers = refused, await first, await post(client, echoed("later"))
            return answers, app.state.service._bytes

    (refused, first, later), held = asyncio.run(send())
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    assert refused.json()["error"].startswith("The queue is full: the requests in it have 60 bytes. Retry later")
    assert (first.status_code, later.status_code, held) == (200, 200, 0)


def test_a_slow_model_is_answered_with_504(app_of, echo):
    async def send():
        app = app_of(echo, timeout=0.2)
        async with client_of(app) as client:
            running = asyncio.create_task(post(client, echoed("wait")))
            await until(echo.entered.is_set)
            queued = await post(client, echoed("queued"))
            waiting = app.state.service.batcher.waiting
            answer = await running
            echo.open.set()
            return answer, queued, waiting, await post(client, echoed("next"))

    answer, queued, waiting, later = asyncio.run(send())
    for one in (answer, queued):
        assert one.status_code == 504 and "No answer within 0.2 seconds" in one.json()["error"]
    assert waiting == 0 and later.json()["relation"] == "next"
    assert echo.calls == [["wait"], ["next"]]  # nobody waits for the one that was queued


def test_a_slow_body_is_answered_with_408(app_of, echo):
    async def slow():
        yield b'{"inputs"'
        await asyncio.sleep(5)
        yield b"}"

    async def send():
        async with client_of(app_of(echo, timeout=0.1)) as client:
            return await client.post("/predict", content=slow(), headers={"Content-Type": "application/json"})

    start = time.monotonic()
    answer = asyncio.run(send())
    assert answer.status_code == 408 and "did not arrive within 0.1 seconds" in answer.json()["error"]
    assert time.monotonic() - start < 4


def test_a_slow_check_is_the_fault_of_the_server(app_of, echo, monkeypatch):
    """Images may have to be fetched. The thread is told when nobody waits for it any more."""
    app = app_of(echo, timeout=0.5)
    remaining = []

    def slow(data, deadline):
        remaining.append(deadline - time.monotonic())
        time.sleep(1)

    monkeypatch.setattr(app.state.service.handler, "check", slow)
    (answer,) = ask(app, echoed("one"))
    assert answer.status_code == 504 and "No answer within 0.5 seconds" in answer.json()["error"]
    assert 0 < remaining[0] <= 0.5 and echo.calls == []


def test_a_client_that_leaves_is_counted(app_of, echo):
    app = app_of(echo)
    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": [(b"content-type", b"application/json")]}

    async def send():
        async def receive():
            return {"type": "http.disconnect"}

        async def ignore(message):
            pass

        async with app.router.lifespan_context(app):
            await app({**scope, "query_string": b"", "root_path": "", "http_version": "1.1"}, receive, ignore)

    asyncio.run(send())
    assert 'tgdi_requests_total{status="499"} 1.0' in app.state.service.metrics.text().decode()
    assert echo.calls == []


def test_stopping_answers_what_is_queued_and_refuses_the_rest(app_of, echo):
    async def send():
        app = app_of(echo)
        async with client_of(app) as client:
            before = await client.get("/health")
            waiting = [asyncio.create_task(post(client, echoed("wait")))]
            await until(echo.entered.is_set)
            waiting.append(asyncio.create_task(post(client, echoed("queued"))))
            await until(lambda: app.state.service.batcher.waiting == 1)
            app.state.service.stop()
            refused = await post(client, echoed("late")), await client.get("/health"), await client.get("/health/live")
            echo.open.set()
            return before, refused, await asyncio.gather(*waiting)

    before, (late, health, live), answers = asyncio.run(send())
    assert (before.status_code, before.json()["status"]) == (200, "ready")
    assert late.status_code == 503 and "The server is stopping" in late.json()["error"]
    assert (late.headers["Retry-After"], late.headers["Connection"]) == ("1", "close")
    assert (health.status_code, health.json()["status"], live.status_code) == (503, "stopping", 200)
    assert [answer.json()["relation"] for answer in answers] == ["wait", "queued"]


def test_a_request_that_is_received_while_the_server_stops_is_refused(app_of, echo):
    app = app_of(echo)

    async def body():
        yield b""
        app.state.service.stop()
        yield json.dumps(echoed("late")).encode()

    async def send():
        async with client_of(app) as client:
            return await client.post("/predict", content=body(), headers={"Content-Type": "application/json"})

    assert asyncio.run(send()).status_code == 503 and echo.calls == []


def test_nothing_is_answered_before_the_start(app_of, echo):
    async def send():
        async with client_of(app_of(echo), lifespan=False) as client:
            return await post(client, echoed("one")), await client.get("/health"), await client.get("/health/live")

    answer, health, live = asyncio.run(send())
    assert (answer.status_code, health.status_code, live.status_code) == (503, 503, 200)
    assert health.json()["status"] == "starting" and "The server is starting" in answer.json()["error"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_end_of_the_model_thread_shows_in_the_health(app_of, echo):
    async def send():
        async with client_of(app_of(echo, timeout=0.3)) as client:
            lost = await post(client, echoed("end"))
            return (
                lost,
                await client.get("/health"),
                await client.get("/health/live"),
                await post(client, echoed("one")),
            )

    lost, health, live, later = asyncio.run(send())
    assert (lost.status_code, health.status_code, live.status_code, later.status_code) == (504, 503, 503, 503)
    assert health.json()["status"] == "failed"


def test_metrics_name_what_happened(app_of, echo):
    async def send():
        async with client_of(app_of(echo)) as client:
            await post(client, {"inputs": [echoed("one")["inputs"]] * 3})
            return await client.get("/metrics")

    answer = asyncio.run(send())
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    for line in ('tgdi_requests_total{status="200"} 1.0', "tgdi_batch_posts_sum 3.0", "tgdi_queue_posts 0.0"):
        assert line in answer.text.splitlines()


def test_the_openapi_document_has_the_types(app_of, echo):
    async def send():
        async with client_of(app_of(echo)) as client:
            return (
                (await client.get("/openapi.json")).json(),
                (await client.get("/docs")).text,
                (await client.get("/openapi.json")).json(),
            )

    document, page, again = asyncio.run(send())
    assert document == again and "/openapi.json" in page
    schemas = document["components"]["schemas"]
    assert schemas == definitions("#/components/schemas/{model}")
    references = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert references <= schemas.keys() and {"Request", "Answer", "Error", "Health"} <= references
    predict = document["paths"]["/predict"]["post"]
    body = predict["requestBody"]["content"]["application/json"]
    assert body["schema"] == {"$ref": "#/components/schemas/Request"}
    assert predict["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith("/Answer")
    (answer,) = ask(app_of(echo), body["example"])
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_queue": 63}, "The queue holds 63 posts, but a request may have 64; increase --max-queue, or lower"),
        ({"max_body_bytes": 0}, "--max-body-bytes is 0; expected more than 0"),
        ({"timeout": 0}, "--timeout is 0; expected more than 0"),
        ({"timeout": float("nan")}, "--timeout is nan"),
        ({"timeout": float("inf")}, "--timeout is inf; expected more than 0, and up to 86,400 seconds"),
        ({"max_wait_ms": float("inf")}, "--max-wait-ms is inf; expected less than --timeout, 30 seconds"),
        ({"max_wait_ms": 2000, "timeout": 2}, "--max-wait-ms is 2000; expected less than --timeout, 2 seconds"),
        ({"max_wait_ms": float("nan")}, "--max-wait-ms is nan"),
        ({"max_batch": 0}, "`max_batch` is 0"),
    ],
)
def test_limits_are_checked_at_the_start(app_of, echo, limits, message):
    with pytest.raises(ValueError, match=message):
        app_of(echo, **limits)

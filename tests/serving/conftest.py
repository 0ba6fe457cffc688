import asyncio
import copy
import json
import threading
from contextlib import asynccontextmanager
from types import SimpleNamespace

import httpx
import pytest

from tgdi_hf import MultimodalRelationExtractionPipeline
from tgdi_hf.hub.handler import EndpointHandler
from tgdi_hf.serving.app import Limits, create_app

HANDLER = {"max_posts": 4, "max_image_bytes": 2000, "max_characters": 300, "max_entities": 5}
POST = {"text": "Ann meets Bob in Rome", "head": "Ann", "tail": [10, 13]}


class EchoPipe:
    """
    Stands in for a pipeline: the relation of a post is its text. Texts are commands: "wait" blocks until `open` is set,
    "boom" and "value" raise an error, "end" ends the thread.
    """

    def __init__(self):
        self.reader = SimpleNamespace(max_entities=16, expected_keys=lambda name: [])
        self.open = threading.Event()
        self.entered = threading.Event()
        self.calls = []

    def __call__(self, posts, strict, batch_size=None, **parameters):
        if not posts:  # the check of the parameters
            return []
        self.calls.append([post["text"] for post in posts])
        if "wait" in self.calls[-1]:
            self.entered.set()
            assert self.open.wait(10)
        if "boom" in self.calls[-1]:
            raise RuntimeError("out of memory")
        if "value" in self.calls[-1]:
            raise ValueError("out of memory")
        if "end" in self.calls[-1]:
            raise SystemExit
        return [{"id": post.get("id"), "relation": post["text"]} for post in posts]


@pytest.fixture
def echo():
    pipe = EchoPipe()
    yield pipe
    pipe.open.set()


@pytest.fixture(scope="module")
def pipe_of_three_objects(_tiny):
    """A pipeline whose model and processor take three objects."""
    model, processor = copy.deepcopy(_tiny[0]), copy.copy(_tiny[1])
    model.config.num_objects = processor.num_objects = 3
    return MultimodalRelationExtractionPipeline(model=model, processor=processor)


@pytest.fixture
def app_of():
    """Makes the application of a pipeline: limits of the server, and `handler` with those of the handler."""

    def make(pipe, handler=None, **limits):
        return create_app(EndpointHandler(pipe=pipe, **(handler or {})), "tiny", Limits(**limits))

    return make


@asynccontextmanager
async def client_of(app, lifespan=True):
    """A client of the application in this process."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        if not lifespan:
            yield client
            return
        async with app.router.lifespan_context(app):
            yield client


def ask(app, *bodies, **options):
    """Sends requests at once, and returns their answers in order."""

    async def send():
        async with client_of(app, **options) as client:
            return await asyncio.gather(*(post(client, body) for body in bodies))

    return asyncio.run(send())


async def post(client, body, **headers):
    """Sends a body, as JSON unless it is bytes already."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await client.post("/predict", content=content, headers={"Content-Type": "application/json", **headers})


async def until(condition):
    """Returns once a condition holds."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)

import base64
import copy
import io
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from jsonschema import Draft202012Validator
from PIL import Image

from tgdi_hf import MultimodalRelationExtractionPipeline
from tgdi_hf.data.labels import with_class_labels
from tgdi_hf.demo.tiny_model import tiny_tgdi
from tgdi_hf.hub.handler import EndpointHandler

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "serving.schema.json").read_text())
POST = {"text": "Ann meets Bob in Rome", "head": "Ann", "tail": [10, 13]}


def png(size=(60, 40)):
    content = io.BytesIO()
    Image.new("RGB", size, "teal").save(content, "PNG")
    return content.getvalue()


BASE64 = base64.b64encode(png()).decode()


def nested(depth):
    """A list that no code which calls itself per level can follow."""
    value = []
    for _ in range(depth):
        value = [value]
    return value


def conforms(value, name):
    Draft202012Validator({**SCHEMA, "$ref": f"#/$defs/{name}"}).validate(value)


@pytest.fixture(scope="module")
def pipe(request):
    """A pipeline whose model and processor take three objects."""
    model, processor = map(copy.copy, request.getfixturevalue("_tiny"))
    model.config, processor.num_objects = copy.copy(model.config), 3
    model.tgdi = copy.copy(model.tgdi)
    model.config.num_objects, model.tgdi.config = 3, model.config
    return MultimodalRelationExtractionPipeline(model=model, processor=processor)


@pytest.fixture(scope="module")
def handler(pipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    pipe.save_pretrained(folder)
    return EndpointHandler(str(folder), max_posts=4, max_image_bytes=2000, max_characters=300, max_entities=5)


def ask(handler, request, conforming=True):
    """Sends a request through JSON and back, and validates both against the schema."""
    if conforming:
        conforms(request, "Request")
    answer = json.loads(json.dumps(handler(json.loads(json.dumps(request))), allow_nan=False))
    conforms(answer, "Answer")
    return answer


def take_scores(answer):
    return [relation.pop("score") for relation in (answer, *answer["relations"])]


def test_posts_are_answered(handler, pipe):
    answer = ask(handler, {"inputs": {**POST, "id": "a"}, "parameters": {"top_k": 2}})
    expected = {"id": "a", **pipe(POST, top_k=2)}
    # The same products, but their last digit may differ from one run to the next.
    assert take_scores(answer) == pytest.approx(take_scores(expected), abs=1e-6)
    assert answer == expected
    posts = [{**POST, "image": BASE64}, {**POST, "image": f"data:image/png;base64,{BASE64}"}]
    image = pipe({**POST, "image": Image.new("RGB", (60, 40), "teal")})
    for one in ask(handler, {"inputs": posts}):
        assert one["gate"] == pytest.approx(image["gate"], abs=1e-5)


def test_objects_as_regions(pipe_with_regions, tmp_path):
    torch.manual_seed(2)  # with many another seed the classifier is too sure to depend on anything
    torch.nn.init.normal_(pipe_with_regions.model.classifier.weight, std=3)  # so that the score depends on the objects
    pipe_with_regions.save_pretrained(tmp_path)
    handler, image = EndpointHandler(str(tmp_path)), Image.radial_gradient("L").convert("RGB")
    content = io.BytesIO()
    image.save(content, "PNG")
    scores = []
    for objects in ([], [[0, 0, 64, 64]], [[96, 96, 160, 160]]):
        post = {**POST, "objects": objects}
        answer = ask(handler, {"inputs": {**post, "image": base64.b64encode(content.getvalue()).decode()}})
        expected = pipe_with_regions({**post, "image": image})
        assert (answer["score"], answer["gate"]) == pytest.approx((expected["score"], expected["gate"]), abs=1e-5)
        scores.append(answer["score"])
    assert len({round(score, 5) for score in scores}) == 3


def test_all_pairs_and_evidence(handler):
    post = {
        "text": "Ann meets Bob in Rome",
        "entities": ["Ann", "Bob", {"text": "Rome", "type": "LOC"}],
        "image": BASE64,
    }
    answer = ask(
        handler, {"inputs": post, "parameters": {"evidence": True, "drop_none": False, "pairs": "independent"}}
    )
    assert len(answer["pairs"]) == 3
    for name in ("similarity", "cosine"):
        maps = answer["pairs"][0]["evidence"][name]
        assert (len(maps), len(maps[0]), len(maps[0][0])) == (1, 8, 8)


def test_evidence_of_a_multi_label_model_without_a_relation(corpus, tmp_path):
    def with_label_lists(labels):
        return {"labels": [[corpus["train"].features["label"].names[label]] for label in labels]}

    data = corpus.map(with_label_lists, batched=True, input_columns="label", remove_columns="label")
    for part in tiny_tgdi(with_class_labels(data)):
        part.save_pretrained(tmp_path)
    request = {"inputs": POST, "parameters": {"evidence": True, "threshold": 0.999}}
    answer = ask(EndpointHandler(str(tmp_path)), request)
    assert answer["relation"] is None and answer["relations"] == []
    assert answer["evidence"]["text_only"] == {"relation": None, "score": None}


def test_valid_and_invalid_posts_keep_their_places(handler):
    posts = [POST, {**POST, "id": 7, "tail": "Nixon"}, {**POST, "id": 8, "image": "?"}, POST]
    first, second, third, fourth = ask(handler, {"inputs": posts})
    assert first == fourth
    assert (second["id"], second["field"]) == (7, "tail") and second["error"].startswith("inputs[1]: ")
    assert (third["id"], third["field"]) == (8, "image")


def test_repeated_mentions_on_request_and_within_the_limit(handler):
    twice = {"text": "Ann meets Bob, Ann leaves", "head": "Ann", "tail": "Bob"}
    ask_for = {"inputs": twice, "parameters": {"ambiguous": "first"}}
    assert ask(handler, ask_for)["head"]["start"] == 0
    answer = ask(handler, {"inputs": twice, "parameters": {"ambiguous": "all"}})
    assert [one["head"]["start"] for one in answer["pairs"]] == [0, 15]
    # The operator's limit of 5 holds for places, too.
    for many, field in (
        ({"text": "a a a a a b", "head": "a", "tail": "b"}, "head"),
        ({"text": "a a a a a b", "entities": ["a", "b"]}, "entities"),
    ):
        answer = ask(handler, {"inputs": many, "parameters": {"ambiguous": "all"}})
        assert answer["field"] == field and "5" in answer["error"]
    wrong = ask(handler, {"inputs": POST, "parameters": {"threshold": 0.3}})
    assert wrong["field"] == "parameters" and "requires a multi-label model" in wrong["error"]
    for wrong in ("any", None, True):
        answer = ask(handler, {"inputs": twice, "parameters": {"ambiguous": wrong}}, conforming=False)
        assert answer["field"] == "parameters" and "expected 'error' or 'first' or 'all'" in answer["error"]


# Each is the request, the field that the answer names, and a part of what it says.
BAD = [
    (None, "inputs", "has no `inputs`"),
    ([], "inputs", "has no `inputs`"),
    ("text", "inputs", "has no `inputs`"),
    ({}, "inputs", "has no `inputs`"),
    ({"inputs": None}, "inputs", "`inputs` is None"),
    ({"inputs": "Ann meets Bob"}, "inputs", "expected a post or a list of posts"),
    ({"inputs": 5}, "inputs", "`inputs` is 5"),
    ({"inputs": []}, "inputs", "has 0 posts; expected 1 to 4"),
    ({"inputs": [POST] * 5}, "inputs", "has 5 posts"),
    ({"inputs": POST, "parameters": [1]}, "parameters", "expected an object"),
    ({"inputs": POST, "parameters": {"topk": 3}}, "parameters", "Unknown parameter 'topk'"),
    ({"inputs": POST, "parameters": {"strict": True}}, "parameters", "Unknown parameter 'strict'"),
    ({"inputs": POST, "parameters": {"top_k": 0}}, "parameters", "`top_k` is 0"),
    ({"inputs": POST, "parameters": {"top_k": "3"}}, "parameters", "`top_k` is '3'"),
    ({"inputs": POST, "parameters": {"evidence": "yes"}}, "parameters", "expected true or false"),
    ({"inputs": POST, "parameters": {"pairs": "all"}}, "parameters", "`pairs` is 'all'"),
    ({"inputs": POST, "parameters": {"pairs": {}}}, "parameters", "`pairs` is {}"),
    ({"inputs": {}}, "text", "no text"),
    ({"inputs": {**POST, "texts": "a"}}, "texts", "Unknown key 'texts'"),
    ({"inputs": {**POST, "where": "a"}}, "where", "Unknown key 'where'"),
    ({"inputs": POST, "parameters": {"pairs": 10**400}}, "parameters", "`pairs` is too large"),
    ({"inputs": POST, "parameters": {"pairs": "a" * 101}}, "parameters", "`pairs` has 101 characters"),
    ({"inputs": POST, "parameters": {"pairs": nested(900)}}, "parameters", "`pairs` is nested more than 8 levels deep"),
    ({"inputs": {**POST, "id": {}}}, "id", "expected a string or an integer"),
    ({"inputs": {**POST, "id": True}}, "id", "`id` is True; expected a string or an integer"),
    ({"inputs": {**POST, "id": 1.5}}, "id", "`id` is 1.5; expected a string or an integer"),
    ({"inputs": {**POST, "id": "a" * 301}}, "id", "`id` has 301 characters"),
    ({"inputs": {**POST, "k" * 100: 1}}, "k" * 80, "Unknown key 'kkk"),
    ({"inputs": {**POST, "text": None}}, "text", "no text"),
    ({"inputs": {**POST, "text": {"a": 1}}}, "text", "`text` is {'a': 1}"),
    ({"inputs": {**POST, "text": "a" * 301}}, "text", "has 301 characters; expected up to 300"),
    ({"inputs": {**POST, "words": ["a" * 200, "b" * 200]}}, "words", "has 400 characters"),
    ({"inputs": {**POST, "words": [1]}}, "words", "expected a list of words"),
    ({"inputs": {**POST, "words": [""] * 301}}, "words", "has 301 characters"),
    ({"inputs": {**POST, "text": nested(900)}}, "text", "`text` is nested more than 8 levels deep"),
    ({"inputs": {**POST, "head": "b" * 301}}, "head", "has 301 characters; expected up to 300"),
    ({"inputs": {**POST, "head": {"text": "Ann", "type": "x" * 300}}}, "head", "has 311 characters"),
    ({"inputs": {**POST, "head": nested(900)}}, "head", "`head` is nested more than 8 levels deep"),
    ({"inputs": {"text": "a b", "entities": ["a", "b" * 301]}}, "entities", "has 301 characters"),
    ({"inputs": {"text": "a b", "entities": ["a", nested(900)]}}, "entities", "is nested more than 8 levels deep"),
    ({"inputs": {**POST, "head": "Nixon"}}, "head", "not in the text"),
    ({"inputs": {**POST, "head": [0, 99]}}, "head", "outside the text"),
    ({"inputs": {**POST, "head": {"start": "0", "end": "3"}}}, "head", "expected a span"),
    ({"inputs": {**POST, "head": {"start": {}, "end": []}}}, "head", "expected a span"),
    ({"inputs": {**POST, "tail": None}}, "tail", "`tail` is None"),
    ({"inputs": {**POST, "tail": 10**400}}, "tail", "expected a span"),
    ({"inputs": {"text": "a b", "entities": ["a"]}}, "entities", "has 1 different entities"),
    ({"inputs": {"text": "a b", "entities": {"a": "b"}}}, "entities", "expected a list"),
    ({"inputs": {"text": "a b", "entities": [[i, i + 1] for i in range(6)]}}, "entities", "has 6; expected up to 5"),
    ({"inputs": {**POST, "caption": ["a"]}}, "caption", "`caption` is ['a']"),
    ({"inputs": {**POST, "caption": "a" * 301}}, "caption", "has 301 characters"),
    ({"inputs": {**POST, "image": 5}}, "image", "expected an image in base64"),
    ({"inputs": {**POST, "image": nested(900)}}, "image", "expected an image in base64"),
    ({"inputs": {**POST, "image": ""}}, "image", "is empty"),
    ({"inputs": {**POST, "image": "é"}}, "image", "not base64"),
    ({"inputs": {**POST, "image": "/etc/passwd"}}, "image", "not base64"),
    ({"inputs": {**POST, "image": {"path": "/etc/passwd"}}}, "image", "expected an image in base64"),
    ({"inputs": {**POST, "image": {"bytes": "abc"}}}, "image", "expected an image in base64"),
    ({"inputs": {**POST, "image": base64.b64encode(b"<html>").decode()}}, "image", "not in an image format"),
    ({"inputs": {**POST, "image": base64.b64encode(png()[:60]).decode()}}, "image", "damaged"),
    ({"inputs": {**POST, "image": "A" * 3000}}, "image", "larger than 2,000 bytes"),
    ({"inputs": {**POST, "image": "file:///etc/passwd"}}, "image", "not base64"),
    (
        {"inputs": {**POST, "image": "http://169.254.169.254/latest/meta-data"}},
        "image",
        "does not fetch from that host",
    ),
    ({"inputs": {**POST, "image": "https://example.org/a.png"}}, "image", "does not fetch from that host"),
    ({"inputs": {**POST, "image": "http://[::1"}}, "image", "does not fetch from that host"),
    ({"inputs": {**POST, "image": "http://localhost:99999999/"}}, "image", "does not fetch from that host"),
    ({"inputs": {**POST, "image": BASE64, "objects": 5}}, "objects", "`objects` is 5"),
    ({"inputs": {**POST, "image": BASE64, "objects": [5]}}, "objects", "expected an image in base64"),
    ({"inputs": {**POST, "image": BASE64, "objects": ["/etc/passwd"]}}, "objects", "not base64"),
    ({"inputs": {**POST, "image": BASE64, "objects": [[0, 0, 1]]}}, "objects", "four finite numbers"),
    ({"inputs": {**POST, "image": BASE64, "objects": [["a", 0, 1, 1]]}}, "objects", "expected an image"),
    ({"inputs": {**POST, "objects": [[0, 0, 5, 5]]}}, "objects", "but the post has no image"),
    ({"inputs": [5]}, "post", "A post is 5"),
    ({"inputs": [[POST]]}, "post", "expected an object"),
    ({"inputs": nested(900)}, "post", "expected an object"),
]


@pytest.mark.parametrize(("request_", "field", "message"), BAD)
def test_bad_requests_are_answered(handler, request_, field, message):
    answer = ask(handler, request_, conforming=False)
    answer = answer[0] if isinstance(answer, list) else answer
    assert answer["field"] == field
    assert message in answer["error"]
    assert "relation" in ask(handler, {"inputs": POST})  # and it is still there


@pytest.fixture
def images():
    """A host of images; /away leads elsewhere, /long is too large, /slow sends a byte at a time."""

    class Images(BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/away":
                self.send_response(302)
                self.send_header("Location", "/a.png")
                self.end_headers()
                return
            self.send_response(200)
            self.end_headers()
            if self.path == "/slow":
                for _ in range(100):
                    self.wfile.write(b"0")
                    time.sleep(0.05)
                return
            self.wfile.write(b"0" * 100_000 if self.path == "/long" else png())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Images)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_allowed_hosts_only(handler, images, monkeypatch):
    at_home = ask(handler, {"inputs": {**POST, "image": BASE64}})
    monkeypatch.setattr(handler, "allowed_origins", EndpointHandler.origins([images, "example.org"]))
    assert ask(handler, {"inputs": {**POST, "image": f"{images}/a.png"}}) == at_home
    for url, message in (
        (f"{images}/away", "could not be fetched: HTTP Error 302"),
        (f"{images}/long", "larger than 2,000 bytes"),
        (images.replace("127.0.0.1", "localhost") + "/a.png", "does not fetch from that host"),
        (images.replace("http://", "http://example.org@") + "/", "could not be fetched: "),
        ("http://example.org/a.png", "does not fetch from that host"),  # a bare host means https
        ("https://example.org.evil.net/a.png", "does not fetch from that host"),
        ("https://example.org@evil.net/a.png", "does not fetch from that host"),
        (f"{images}/my photo.png", "could not be fetched: "),
    ):
        answer = ask(handler, {"inputs": {**POST, "image": url}})
        assert answer["field"] == "image" and message in answer["error"], url


def test_a_slow_host_is_not_waited_for(handler, images, monkeypatch):
    monkeypatch.setattr(handler, "allowed_origins", EndpointHandler.origins([images]))
    monkeypatch.setattr(handler, "timeout", 0.3)
    start = time.monotonic()
    answer = ask(handler, {"inputs": {**POST, "image": f"{images}/slow"}})
    assert answer["field"] == "image" and "could not be fetched: it took more than 0.3 seconds" in answer["error"]
    assert time.monotonic() - start < 4


@pytest.mark.parametrize("host", ["https://a.org/images", "a.org?b", "*.twimg.com", "me@a.org", "http://a.org/#b"])
def test_only_hosts_can_be_allowed(host):
    assert EndpointHandler.origins(["https://a.org/"]) == {("https", "a.org", 443)}
    with pytest.raises(ValueError, match="is no host; expected 'pbs.twimg.com' or 'http://images.local:8080'"):
        EndpointHandler.origins([host])


def colours(*names):
    contents = [io.BytesIO() for _ in names]
    for name, content in zip(names, contents):
        Image.new("RGB", (60, 40), name).save(content, "PNG")
    return [base64.b64encode(content.getvalue()).decode() for content in contents]


def test_pixels_are_limited_since_small_files_may_have_many(pipe):
    handler = EndpointHandler(pipe=pipe, max_pixels=5000)
    red, green, blue = colours("red", "green", "blue")
    for given in ([red, green], [red, red, red]):  # each distinct image is decoded once
        answers = ask(handler, {"inputs": [{**POST, "image": image} for image in given]})
        assert all("relation" in answer for answer in answers)
    for posts in ([{**POST, "image": image} for image in (red, green, blue)],
                  {**POST, "image": red, "objects": [green, blue]}):  # fmt: skip
        answer = ask(handler, {"inputs": posts})
        assert answer == {"error": "The images have 7,200 pixels; expected up to 5,000 per request.", "field": "image"}


def test_evidence_is_limited_in_pairs(pipe):
    handler = EndpointHandler(pipe=pipe, max_evidence=3)
    of_three, of_four = ({"text": "a b c d", "entities": [*names]} for names in ("abc", "abcd"))
    evidence = {"parameters": {"evidence": True, "pairs": "independent"}}
    assert len(ask(handler, {"inputs": of_three, **evidence})["pairs"]) == 3
    assert len(ask(handler, {"inputs": of_four, "parameters": {"pairs": "independent"}})["pairs"]) == 6
    for inputs, pairs in ((of_four, 6), ([POST] * 4, 4), ([of_three, POST], 4)):
        answer = ask(handler, {"inputs": inputs, **evidence})
        assert answer["field"] == "parameters"
        assert answer["error"] == f"With `evidence`, {pairs} entity pairs are too many; expected up to 3."
    repeated = {"inputs": POST, "parameters": {"evidence": True, "ambiguous": "all"}}
    assert "240 entity pairs are too many" in ask(handler, repeated)["error"]
    answer = ask(handler, {"inputs": {"text": "a", "entities": 5}, **evidence}, conforming=False)
    assert answer["field"] == "entities"


def test_as_many_objects_are_read_as_the_model_has_slots(pipe, monkeypatch):
    monkeypatch.setattr(pipe.processor, "num_objects", 9)
    handler = EndpointHandler(pipe=pipe, max_characters=300)
    checked = handler.check({"inputs": {**POST, "image": BASE64, "objects": [[i, 0, 40, 40] for i in range(12)]}})
    assert checked.posts[0]["objects"] == [[i, 0, 40, 40] for i in range(9)]
    answer = ask(handler, {"inputs": {**POST, "image": BASE64, "objects": [[1] * 301]}}, conforming=False)
    assert (answer["field"], answer["error"]) == ("objects", "`objects` has 301 characters; expected up to 300.")


def test_a_check_ends_at_its_deadline(handler):
    assert handler.check({"inputs": POST}, time.monotonic() + 60).single
    with pytest.raises(TimeoutError):
        handler.check({"inputs": POST}, time.monotonic() - 1)


def test_faults_of_the_model_are_not_blamed_on_the_request(pipe, monkeypatch):
    handler = EndpointHandler(pipe=pipe)

    def fail(*_, **__):
        raise ValueError("weights at /srv")

    monkeypatch.setattr(pipe, "forward", fail)
    with pytest.raises(ValueError, match="weights at /srv"):
        handler({"inputs": POST})


@pytest.mark.parametrize("value", ["", "many", "0", "-1", "1.5"])
def test_limits_are_whole_numbers(pipe, monkeypatch, value):
    with pytest.raises(ValueError, match=f"max_pixels is '{value}'; expected a whole number, 1 or more"):
        EndpointHandler(pipe=pipe, max_pixels=value)
    monkeypatch.setenv("TGDI_MAX_POSTS", value)
    with pytest.raises(ValueError, match=f"TGDI_MAX_POSTS is '{value}'; expected a whole number, 1 or more"):
        EndpointHandler(pipe=pipe)


def test_limits_come_from_the_environment(checkpoint, monkeypatch):
    monkeypatch.setenv("TGDI_ALLOWED_HOSTS", "pbs.twimg.com, http://images.local:8080")
    assert EndpointHandler.origins("pbs.twimg.com") == {("https", "pbs.twimg.com", 443)}
    monkeypatch.setenv("TGDI_MAX_POSTS", "2")
    handler = EndpointHandler(str(checkpoint))
    assert handler.allowed_origins == {("https", "pbs.twimg.com", 443), ("http", "images.local", 8080)}
    assert handler({"inputs": [POST] * 3})["error"] == "`inputs` has 3 posts; expected 1 to 2."


def test_misspelled_keys_and_empty_cells_of_a_request(handler):
    answer = ask(handler, {"inputs": {**POST, "images": "aGk="}}, conforming=False)
    assert answer["field"] == "images" and answer["error"].endswith("Did you mean image?")
    answer = ask(handler, {"inputs": {**POST, "object": "Bob"}}, conforming=False)
    assert answer["error"].endswith("Did you mean tail or objects?")
    empty = dict.fromkeys(("id", "image", "objects", "caption", "entities"), float("nan"))
    answer = ask(handler, {"inputs": {**POST, **empty}}, conforming=False)
    assert "error" not in answer and "id" not in answer
    answer = ask(handler, {"inputs": {**POST, "text": float("nan")}}, conforming=False)
    assert answer["field"] == "text" and "`text` is NaN: the cell is empty" in answer["error"]

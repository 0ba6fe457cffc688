"""Every post of `unusual_posts` at every entry point that accepts its form."""

import copy
import html
import json
import re
from collections import defaultdict

import pytest
from datasets import Dataset, DatasetDict

from tgdi_hf import InvalidPost, MultimodalRelationExtractionPipeline, TGDICollator, prepare
from tgdi_hf.data.post_stream import read_posts
from tgdi_hf.hub.handler import EndpointHandler
from tgdi_hf.inference.bulk_prediction import predict_file
from tgdi_hf.inference.triples import extract_triples

from .unusual_posts import CASES, EVERY, write_images

ACCEPTED = object()  # for entry points that return tensors instead of relations


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("posts")
    write_images(folder)
    return folder


@pytest.fixture(scope="module")
def pipe(_tiny):
    model, processor = (copy.deepcopy(one) for one in _tiny)
    model.classifier.bias.data[0] = -100.0  # never predict `None`, so that every pair becomes a triple
    model.config.num_objects = processor.num_objects = 3
    return MultimodalRelationExtractionPipeline(model=model, processor=processor)


def cases_of(entry):
    return [case for case in CASES if entry in case.only]


def located(post, folder):
    """The post with an absolute image path, for entry points that do not read posts from a file."""
    image = post.get("image") if isinstance(post, dict) else None
    is_name = isinstance(image, str) and image and "://" not in image
    return {**post, "image": str(folder / image)} if is_name else post


def answered(result):
    if "error" in result:
        return result["error"]
    return [(one["head"]["text"], one["tail"]["text"]) for one in result.get("pairs", [result])]


def attempt(function, *arguments):
    try:
        return function(*arguments)
    except InvalidPost as error:
        return str(error)
    except ValueError as error:  # raised for a dataset row; any other error is a bug
        return str(error)


def by_pipeline(cases, pipe, folder):
    return map(answered, pipe([located(case.post, folder) for case in cases], strict=False))


def by_processor(cases, pipe, folder):
    def read(post):
        post = located(post, folder)
        text = post["text"] if post.get("words") is None else post["words"]
        columns = {name: [post.get(key)] for name, key in (("images", "image"), ("caption", "caption"))}
        pipe.processor(text=[text], head=[post["head"]], tail=[post["tail"]], **columns)
        return ACCEPTED

    # The processor accepts only spans; mentions are located by the other entry points.
    return [attempt(read, case.post) if has_spans(case.post) else ACCEPTED for case in cases]


def has_spans(post):
    return not any(isinstance(post.get(name), str | dict) for name in ("head", "tail"))


def by_collator(cases, pipe, folder):
    def collate(post):
        TGDICollator(pipe.processor)([located(post, folder)])
        return ACCEPTED

    return [attempt(collate, case.post) for case in cases]


def file_of(cases, folder, name):
    (folder / name).write_text("".join(json.dumps(case.post) + "\n" for case in cases))
    return folder / name


def by_predict(cases, pipe, folder):
    posts = file_of(cases, folder, "predict.jsonl")
    predict_file(pipe, posts, folder / "out.jsonl", folder / "errors.jsonl")
    lines = [json.loads(line) for name in ("out", "errors") for line in (folder / f"{name}.jsonl").open()]
    return [answered(line) for line in sorted(lines, key=lambda line: line["row"])]


def by_triples(cases, pipe, folder):
    posts = file_of(cases, folder, "triples.jsonl")
    outcome = {}

    def failed(message):
        outcome[int(re.search(r"line (\d+)", message)[1]) - 1] = message

    for number, post in enumerate(read_posts(posts, strict=False)):
        rows = [(row["head"], row["tail"]) for row in extract_triples(pipe, [post], on_error=failed)]
        outcome.setdefault(number, rows)
    return [outcome[number] for number in range(len(cases))]


def by_prepare(cases, pipe, folder):
    """A dataset column has a single type, so posts with equal types are grouped, each group with a valid post."""
    groups = defaultdict(list)
    for number, case in enumerate(cases):
        post = {name: value for name, value in case.post.items() if value is not None}
        for name in ("head", "tail"):
            if name in post and not isinstance(post[name], str):
                post[name] = json.dumps(post[name])
        groups[tuple((name, type(value)) for name, value in sorted(post.items()))].append((number, post))
    outcome = [None] * len(cases)
    for place, (kind, posts) in enumerate(groups.items()):
        valid = {"text": "Ann meets Bob", "words": ["Ann", "meets", "Bob"], "head": "Ann", "tail": "Bob"}
        rows = [{**post, "id": str(number)} for number, post in posts]
        if all(isinstance(valid.get(name, kinds()), kinds) for name, kinds in kind):
            rows.append({**{name: valid.get(name) for name, _ in kind}, "head": "Ann", "tail": "Bob", "id": "valid"})
        output = folder / f"prepared-{place}"
        dataset = DatasetDict(train=Dataset.from_list(rows))
        done = attempt(lambda: prepare(dataset, output, cache=folder / "cache", image_folder=folder, progress=False))  # noqa: B023
        if isinstance(done, str):
            for number, _ in posts:
                outcome[number] = done
            continue
        kept = set(done.dataset["train"]["id"])
        reasons = {fault.id: fault.reason for fault in done.faults}
        for number, _ in posts:
            outcome[number] = ACCEPTED if str(number) in kept else reasons[str(number)]
    return outcome


def by_handler(cases, pipe, folder):
    handler = EndpointHandler("", max_image_bytes=10_000, timeout=1.0, pipe=pipe)
    return [answered(handler({"inputs": [case.post]})[0]) for case in cases]


def by_page(cases, pipe, folder):
    app = pytest.importorskip("tgdi_hf.demo.app", reason="the page needs gradio")

    def shown(post):
        image = post.get("image") if isinstance(post.get("image"), str) else None
        path = str(folder / image) if image else None
        try:
            message, answer, *_ = app.show(pipe, post["text"], post["head"], post["tail"], path, post.get("caption"))
        except OSError as error:  # gradio receives an upload, which cannot be a missing file
            return f"no such file: {error}"
        found = re.search(r"<p class=answer>(.*?) → (.*?): ", answer, re.S)
        return [tuple(map(html.unescape, found.groups()))] if found else html.unescape(message)

    return [shown(case.post) for case in cases]


@pytest.fixture(scope="module")
def outcomes(pipe, folder):
    """The outcome of a case at an entry point; each entry point runs all of its cases on first use."""
    found = {}

    def outcome(entry, case):
        if entry not in found:
            cases = cases_of(entry)
            found[entry] = dict(
                zip((one.name for one in cases), globals()[f"by_{entry}"](cases, pipe, folder), strict=True)
            )
        return found[entry][case.name]

    return outcome


def test_the_cases_are_valid_and_distinct():
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names) >= 100
    assert all(set(case.only) <= set(EVERY) and (case.pairs is None) != (case.error is None) for case in CASES)


@pytest.mark.parametrize(
    ("case", "entry"), [pytest.param(case, entry, id=f"{case.name}-{entry}") for case in CASES for entry in case.only]
)
def test_every_entry_point_gives_the_expected_outcome(case, entry, outcomes):
    outcome = outcomes(entry, case)
    expected = case.but.get(entry, case.error if case.pairs is None else case.pairs)
    if outcome is ACCEPTED:
        assert not isinstance(expected, str) or (entry == "processor" and not has_spans(case.post)), "was accepted"
    elif isinstance(expected, str):
        assert isinstance(outcome, str), f"was answered: {outcome}"
        assert re.search(expected, outcome, re.S), outcome
    else:
        assert not isinstance(outcome, str), outcome
        if "entities" in case.post:  # the order of head and tail depends on the predicted relation
            outcome, expected = (sorted(map(sorted, pairs)) for pairs in (outcome, expected))
        assert outcome == expected

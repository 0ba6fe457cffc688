import copy
import io
import json
import random

import numpy as np
import pytest
import torch
import transformers
from datasets import Dataset
from PIL import Image
from transformers import pipeline, set_seed
from transformers.pipelines.pt_utils import KeyDataset

from tgdi_hf import (
    ImageCaptioner,
    InvalidPost,
    MultimodalRelationExtractionPipeline,
    ObjectGrounder,
    TGDICollator,
    TGDIConfig,
    TGDIForRelationExtraction,
    TGDIProcessor,
)
from tgdi_hf.data.entity_order import count_inverses, estimate_tail_first_bias
from tgdi_hf.demo.tiny import tiny_image_processor, tiny_text_config, tiny_tokenizer, tiny_vision_config
from tgdi_hf.demo.tiny_model import tiny_tgdi
from tgdi_hf.processing.entity_order import MNRE_TAIL_FIRST_BIAS
from tgdi_hf.processing.evidence import EvidenceBuilder
from tgdi_hf.processing.pipeline_tgdi import TASK, logger
from tgdi_hf.processing.scored_batch import ScoredBatch

from ..preparation.tiny_checkpoints import blip, owlv2

POST = {"text": "Ann meets Bob in Rome", "head": "Ann", "tail": [10, 13]}
MANY = {"text": "Ann Lee meets Bob at Harvard in Rome", "entities": ["Rome", "Ann Lee", [14, 17], {"word": "Harvard"}]}


@pytest.fixture
def processor(_tiny):
    """The processor of the model, with slots for objects, which overrides the fixture of this folder."""
    processor = copy.copy(_tiny[1])
    processor.num_objects = 3
    return processor


@pytest.fixture
def model(_tiny):
    model = copy.deepcopy(_tiny[0])
    model.config.num_objects = 3
    return model


def close(actual, expected):
    assert actual["relation"] == expected["relation"]
    assert actual["score"] == pytest.approx(expected["score"], abs=1e-5)
    assert actual["gate"] == pytest.approx(expected["gate"], abs=1e-5)


def test_a_checkpoint_loads_as_a_pipeline(checkpoint, corpus):
    pipe = pipeline(TASK, model=str(checkpoint), top_k=2)
    assert type(pipe) is MultimodalRelationExtractionPipeline
    result = pipe(corpus["test"][0])
    assert result["id"] == corpus["test"][0]["id"]
    assert result["relations"][0]["relation"] == result["relation"]
    assert len(result["relations"]) == 2
    assert set(result) == {"id", "head", "tail", "relation", "score", "relations", "gate"}


def test_saving_keeps_the_processor_and_the_code(pipe, tmp_path, corpus):
    pipe.save_pretrained(tmp_path / "saved")
    again = pipeline(TASK, model=str(tmp_path / "saved"))
    # The memory layout of the weights may change the last bit.
    close(again(corpus["test"][0]), pipe(corpus["test"][0]))
    assert (tmp_path / "saved" / "pipeline_tgdi.py").is_file()
    # A model saved without its pipeline includes the code, too; only the processor has to be added.
    again.model.save_pretrained(tmp_path / "model")
    again.processor.save_pretrained(tmp_path / "model")
    saved, alone = ({path.name: path for path in (tmp_path / name).iterdir()} for name in ("saved", "model"))
    assert saved.keys() == alone.keys()
    configs = [json.loads(files.pop("config.json").read_text()) for files in (saved, alone)]
    assert all(configs[0][key] == configs[1][key] for key in ("auto_map", "custom_pipelines", "dtype", "architectures"))
    for name, path in saved.items():
        assert path.read_bytes() == alone[name].read_bytes(), name


def test_every_kind_of_input_gives_the_same_results(pipe, corpus):
    rows = corpus["test"].select(range(5))
    expected = pipe([*rows])
    assert [pipe(row)["relation"] for row in rows] == [item["relation"] for item in expected]
    for posts in (rows, (row for row in rows), iter([*rows])):
        predicted = pipe(posts, batch_size=5)
        assert not isinstance(predicted, list)  # posts are read as results are consumed
        for item, other in zip(predicted, expected, strict=True):
            close(item, other)
    column = Dataset.from_list([{"post": POST}, {"post": POST}])["post"]
    assert [item["relation"] for item in pipe(column)] == [pipe(POST)["relation"]] * 2
    assert [item["relation"] for item in pipe(KeyDataset([{"post": POST}] * 3, "post"))] == [pipe(POST)["relation"]] * 3
    assert pipe([]) == []


def test_batching_does_not_change_results(pipe, corpus):
    posts = [*corpus["test"].select(range(9)), MANY, {**MANY, "image": corpus["test"][3]["image"]}, POST]
    single = pipe(posts, batch_size=1)
    for options in ({"batch_size": 5}, {"batch_size": 12, "max_batch_tokens": 99}, {"batch_size": 4, "num_workers": 3}):
        for item, other in zip(pipe(posts, **options), single, strict=True):
            for pair, other_pair in zip(item.get("pairs", [item]), other.get("pairs", [other]), strict=True):
                close(pair, other_pair)


def test_options_of_the_constructor_are_defaults(model, processor, corpus):
    pipe = MultimodalRelationExtractionPipeline(model=model, processor=processor, batch_size=2, top_k=3, window=2)
    taken = []
    results = pipe(taken.append(i) or POST for i in range(10))
    assert len(next(results)["relations"]) == 3
    assert len(taken) == 2
    assert len(pipe(POST, top_k=1)["relations"]) == 1


def test_bf16(checkpoint, corpus):
    pipe = pipeline(TASK, model=str(checkpoint), dtype="bfloat16")
    assert pipe.model.dtype == torch.bfloat16
    exact = pipeline(TASK, model=str(checkpoint))
    for post in corpus["test"].select(range(6)):
        assert pipe(post)["score"] == pytest.approx(exact(post)["score"], abs=0.02)


def test_all_pairs_of_a_post(pipe, image):
    result = pipe({**MANY, "image": image, "id": 7})
    assert result["id"] == 7
    pairs = {frozenset((item["head"]["text"], item["tail"]["text"])) for item in result["pairs"]}
    assert len(result["pairs"]) == len(pairs) == 6
    assert all(0 < item["score"] < 1 and 0 < item["gate"] < 1 for item in result["pairs"])
    # Neither the order of the entities nor duplicates change the result.
    again = pipe({**MANY, "image": image, "entities": [*MANY["entities"][::-1], "Rome"]})
    for item, other in zip(result["pairs"], again["pairs"], strict=True):
        close(item, other)


def test_pairs_are_scored_in_both_orders(pipe, monkeypatch):
    """Three labels; the scores depend only on the order of the pair."""
    names = ("None", "r", "s")
    monkeypatch.setattr(pipe, "names", names)
    monkeypatch.setattr(pipe, "symmetric", [False, False, False])
    text_order, reverse = torch.tensor([0.8, 0.15, 0.05]), torch.tensor([0.1, 0.1, 0.8])

    def forward(batch, **settings):
        rows = len(batch.inputs["input_ids"])
        return ScoredBatch(batch.posts, probabilities=torch.stack([text_order, reverse] * (rows // 2)))

    monkeypatch.setattr(pipe, "forward", forward)
    post = {"text": "a b", "entities": ["b", "a"]}
    (free,) = pipe(post, pairs="independent")["pairs"]
    assert (free["head"]["text"], free["relation"], free["tail"]["text"]) == ("b", "s", "a")
    assert free["score"] == pytest.approx(8 / (1 + 0.25 + 9))  # odds 0.1875 + 0.0625 forward, 1 + 8 backward
    (held,) = pipe(post, pairs="mnre")["pairs"]
    assert (held["head"]["text"], held["relation"]) == ("a", "None")
    assert pipe(post, drop_none=True, pairs="mnre")["pairs"] == []
    assert pipe(post)["pairs"] == [free]  # nothing was counted in training
    monkeypatch.setattr(pipe.model.config, "tail_first_bias", MNRE_TAIL_FIRST_BIAS)
    assert pipe(post)["pairs"] == [held]
    # A symmetric relation is reported in text order, whichever order has the higher score.
    monkeypatch.setattr(pipe, "symmetric", [False, False, True])
    (peers,) = pipe(post, pairs="independent")["pairs"]
    assert (peers["head"]["text"], peers["relation"], peers["tail"]["text"]) == ("a", "s", "b")
    assert peers["score"] == pytest.approx(4.03125 / (1 + 0.1875 + 1 + 4.03125))


def test_an_uncounted_order_causes_a_warning(pipe, monkeypatch, caplog):
    monkeypatch.setattr(transformers.utils.logging.get_logger("transformers"), "propagate", True)
    warning = "its configuration has no `tail_first_bias`"
    post = {"text": "Ann meets Bob", "entities": ["Ann", "Bob"]}
    for options, fields, expected in [
        ({}, {}, True),
        ({"pairs": "independent"}, {}, False),
        ({"negative_label": None}, {}, False),
        ({}, {"tail_first_bias": 0.0}, False),
        ({}, {"direction_balanced": True}, False),
    ]:
        type(logger).warning_once.cache_clear()
        caplog.clear()
        with monkeypatch.context() as changed:
            for name, value in fields.items():
                changed.setattr(pipe.model.config, name, value)
            pipe(post, **options)
        assert (warning in caplog.text) == expected
    type(logger).warning_once.cache_clear()
    caplog.clear()
    pipe({"text": "Ann meets Bob", "head": "Ann", "tail": "Bob"})
    assert warning not in caplog.text  # the order is given


def test_the_image_is_encoded_once(pipe, image, monkeypatch):
    shapes, passes = [], []
    features, forward = pipe.model.get_vision_features, pipe.model.forward
    monkeypatch.setattr(
        pipe.model, "get_vision_features", lambda pixels: shapes.append(pixels.shape) or features(pixels)
    )
    monkeypatch.setattr(
        pipe.model, "forward", lambda **inputs: passes.append(len(inputs["input_ids"])) or forward(**inputs)
    )
    content = io.BytesIO()
    image.save(content, "PNG")
    pipe({**MANY, "image": {"bytes": content.getvalue()}, "objects": [[0, 0, 20, 20]]})
    assert [shape[0] for shape in shapes] == [2]  # the image and the object
    assert passes == [12]  # all ordered pairs in one pass


def test_entity_types_exclude_relations(pipe):
    post = {
        "text": "Ann meets Bob",
        "head": {"word": "Ann", "entity_group": "PER"},
        "tail": {"word": "Bob", "type": "PER"},
    }
    result = pipe(post, top_k=50)
    possible = [item["relation"] for item in result["relations"] if item["score"] > 0]
    assert all(name == "None" or name.startswith("/per/per/") for name in possible)
    assert sum(item["score"] for item in result["relations"]) == pytest.approx(1)
    assert result["head"] == {"text": "Ann", "start": 0, "end": 3, "type": "PER"}


def test_none_can_be_dropped(pipe, model, corpus):
    model.classifier.bias.data[0] = 100.0
    result = pipe(POST, drop_none=True)
    assert result["relation"] is result["score"] is None
    assert result["relations"] == []
    model.classifier.bias.data[0] = -1.0
    model.classifier.bias.data[1] = 100.0
    assert all(item["relation"] != "None" for item in pipe(POST, drop_none=True, top_k=50)["relations"])


def test_evidence_of_an_image(pipe, image, processor):
    post = {**POST, "image": image, "objects": [[0, 0, 30, 30], [10, 10, 50, 40]], "caption": "two people"}
    evidence = pipe(post, evidence=True)["evidence"]
    assert evidence["similarity"].shape == (3, 8, 8, len(evidence["tokens"]))
    assert evidence["similarity"].sum(-1) == pytest.approx(np.ones((3, 8, 8)), abs=1e-5)
    assert sum(token["similarity"] for token in evidence["tokens"]) == pytest.approx(1, abs=1e-5)
    assert evidence["cosine"].shape == evidence["similarity"].shape and np.abs(evidence["cosine"]).max() <= 1
    means = evidence["cosine"].mean(axis=(1, 2))  # (images, tokens)
    assert [token["cosine"] for token in evidence["tokens"]] == pytest.approx(means[0], abs=1e-6)
    special = [token["text"] for token in evidence["tokens"] if token["special"]]
    assert special == ["[CLS]", "<head>", "</head>", "<tail>", "</tail>", "[SEP]"]
    of_text = [i for i, token in enumerate(evidence["tokens"]) if not token["special"]]
    assert [region["cosine"] for region in evidence["regions"]] == pytest.approx(means[:, of_text].mean(1), abs=1e-6)
    assert [region["region"] for region in evidence["regions"]] == ["image", "object 0", "object 1"]
    texts = [token["text"] for token in evidence["tokens"]]
    mention = evidence["tokens"][texts.index("<tail>") + 1 : texts.index("</tail>")]
    assert evidence["regions"][0]["tail"] == pytest.approx(sum(token["similarity"] for token in mention))
    assert sum(evidence["branches"].values()) == pytest.approx(1)
    assert evidence["matching_gate"]["mean"] == pytest.approx(pipe(post)["gate"])
    assert evidence["text_only"]["score"] == pytest.approx(pipe(POST)["score"], abs=1e-6)


TYPED = {"text": MANY["text"], "head": {"text": "Ann Lee", "type": "PER"}, "tail": {"text": "Rome", "type": "LOC"}}


@pytest.mark.parametrize("post", [POST, TYPED, MANY])
def test_text_only_evidence_follows_the_same_rules_as_the_result(pipe, post):
    """Without image and caption, the scores are those of the text alone."""
    result = pipe(post, evidence=True)
    for answer in result.get("pairs", [result]):
        alone = answer["evidence"]["text_only"]
        assert alone["relation"] == answer["relation"]
        assert alone["score"] == pytest.approx(answer["score"], abs=1e-5)


def test_evidence_without_an_image(pipe, corpus):
    evidence = pipe(POST, evidence=True)["evidence"]
    assert evidence["matching_gate"] is evidence["similarity"] is evidence["cosine"] is None
    assert evidence["tokens"] == evidence["regions"] == []
    # The same in a batch with images.
    mixed = pipe([POST, *corpus["test"].select(range(6))], evidence=True, batch_size=7)
    assert mixed[0]["evidence"]["similarity"] is None
    assert mixed[0]["evidence"]["branches"] == pytest.approx(evidence["branches"], abs=1e-4)


def test_text_only_models_are_supported(processor, image):
    config = TGDIConfig(
        text_config=tiny_text_config(processor.tokenizer),
        vision_config=tiny_vision_config(),
        num_labels=3,
        use_visual_prompts=False,
        use_matching_gate=False,
        use_text_oriented_interaction=False,
    )
    pipe = MultimodalRelationExtractionPipeline(model=TGDIForRelationExtraction(config), processor=processor)
    result = pipe({**POST, "image": image}, evidence=True)
    assert result["gate"] is result["evidence"]["branches"] is result["evidence"]["matching_gate"] is None


def test_posts_with_one_image_have_one_caption_and_one_image(model, processor, tmp_path):
    Image.new("RGB", (20, 10), "red").save(tmp_path / "a.png")
    asked, seen = [], []

    def captioner(images):
        asked.append(len(images))
        return [f"a {image.size}" for image in images]

    pipe = MultimodalRelationExtractionPipeline(model=model, processor=processor, captioner=captioner)
    model.base_model.vision_tower.register_forward_pre_hook(lambda module, args: seen.append(len(args[0])))
    results = pipe([{**POST, "image": str(tmp_path / "a.png")}] * 4)
    assert asked == [1] and seen == [1]
    assert all(result["added"]["caption"] == "a (20, 10)" for result in results)


def test_options_of_the_constructor_are_checked(model, processor):
    pipe = MultimodalRelationExtractionPipeline(model=model, processor=processor, batch_size=0)
    with pytest.raises(ValueError, match="`batch_size` is 0; expected 1 or more"):
        pipe([POST])


def test_missing_captions_and_objects_are_added(model, processor, image):
    asked = []

    def captioner(images):
        asked.append(("captions", len(images)))
        return ["a cat"] * len(images)

    def grounder(images, phrases):
        asked.append(("objects", phrases))
        return [[{"box": [0.0, 0.0, 9.0, 9.0], "score": 0.9, "phrase": "ann"}]] * len(images)

    pipe = MultimodalRelationExtractionPipeline(
        model=model, processor=processor, captioner=captioner, grounder=grounder
    )
    plain = MultimodalRelationExtractionPipeline(model=model, processor=processor)
    posts = [POST, {**POST, "image": image}, {**POST, "image": image, "caption": "", "objects": []}]
    results = pipe(posts)
    assert asked[0] == ("captions", 1)
    assert asked[1][1][0][:2] == ["ann", "bob"]
    assert results[1]["added"] == {"caption": "a cat", "objects": [[0.0, 0.0, 9.0, 9.0]]}
    close(results[1], plain({**posts[1], **results[1]["added"]}))
    assert "added" not in results[0] and "added" not in results[2]


def test_real_captioners_and_grounders_are_accepted(model, processor, image, tmp_path):
    blip(tmp_path / "blip")
    owlv2(tmp_path / "owlv2")
    pipe = MultimodalRelationExtractionPipeline(
        model=model,
        processor=processor,
        captioner=ImageCaptioner.from_pretrained(str(tmp_path / "blip")),
        grounder=ObjectGrounder.from_pretrained(str(tmp_path / "owlv2"), threshold=0.0),
    )
    result = pipe({**MANY, "image": image}, num_workers=2)
    assert isinstance(result["added"]["caption"], str)
    assert 1 <= len(result["added"]["objects"]) <= 3
    assert len(result["pairs"]) == 6


TWICE = {"text": "Ann Lee meets Bob, Ann Lee leaves Bob", "head": "Bob", "tail": "Ann Lee"}


def places(result):
    return [(item["head"]["start"], item["tail"]["start"]) for item in result["pairs"]]


def test_the_first_or_all_occurrences_are_scored_on_request(pipe):
    with pytest.raises(
        InvalidPost,
        match=r"one of the spans \[14, 17\), \[34, 37\); or use the first or all",
    ):
        pipe(TWICE)
    assert pipe(TWICE, strict=False)["field"] == "head"
    first = pipe(TWICE, ambiguous="first")
    assert first == pipe({**TWICE, "head": [14, 17], "tail": [0, 7]})
    every = pipe(TWICE, ambiguous="all")
    assert places(every) == [(14, 0), (14, 19), (34, 0), (34, 19)]
    for item in every["pairs"]:  # head and tail in the given order
        alone = pipe({**TWICE, **{name: [item[name]["start"], item[name]["end"]] for name in ("head", "tail")}})
        close(item, alone)
        assert (item["head"], item["tail"]) == (alone["head"], alone["tail"])
    # A single pair is a list, too; one mention with two occurrences is two entities.
    assert len(pipe({**TWICE, "head": [14, 17], "tail": [0, 7]}, ambiguous="all")["pairs"]) == 1
    assert places(pipe({**TWICE, "tail": "Bob"}, ambiguous="all")) == [(14, 34), (34, 14)]


def test_every_occurrence_of_listed_entities_is_scored_on_request(pipe):
    post = {"text": TWICE["text"], "entities": ["Bob", {"text": "Ann Lee", "type": "PER"}, [0, 7]]}
    with pytest.raises(InvalidPost, match=r"`entities\[0\]` is 'Bob', which occurs 2 times") as error:
        pipe(post)
    assert error.value.field == "entities"
    (pair,) = pipe(post, ambiguous="first")["pairs"]
    assert {pair["head"]["start"], pair["tail"]["start"]} == {0, 14}
    pairs = pipe(post, ambiguous="all")["pairs"]
    assert [{item["head"]["start"], item["tail"]["start"]} for item in pairs] == [
        *({0, 14}, {0, 19}, {0, 34}, {14, 19}, {14, 34}, {19, 34}),
    ]
    assert {
        item[name].get("type") for item in pairs for name in ("head", "tail") if item[name]["text"] == "Ann Lee"
    } == {"PER"}
    many = {"text": "a " * 70, "entities": ["a"]}
    with pytest.raises(InvalidPost, match="`entities` has 70 different entities; expected 2 to 64"):
        pipe(many, ambiguous="all")
    with pytest.raises(InvalidPost, match="at 71 places in the text; expected up to 64"):
        pipe({"text": many["text"] + "b", "head": "a", "tail": [140, 141]}, ambiguous="all")


def test_several_occurrences_combine_with_the_other_options(model, processor, image):
    pipe = MultimodalRelationExtractionPipeline(model=model, processor=processor, ambiguous="all")
    result = pipe({**TWICE, "id": 5, "image": image}, evidence=True, top_k=2)
    assert result["id"] == 5 and len(result["pairs"]) == 4
    assert all(item["evidence"]["similarity"] is not None and len(item["relations"]) == 2 for item in result["pairs"])
    mixed = pipe(
        [TWICE, MANY, {**POST, "image": image}, {"text": "x"}], strict=False, batch_size=4, max_batch_tokens=60
    )
    assert [len(item.get("pairs", ())) for item in mixed] == [4, 6, 1, 0]
    for item, other in zip(mixed[0]["pairs"], pipe(TWICE)["pairs"], strict=True):
        close(item, other)
    model.classifier.bias.data[0] = 100.0
    assert pipe(TWICE, drop_none=True)["pairs"] == []
    with pytest.raises(ValueError, match="`ambiguous` is 'some'; expected 'error' or 'first' or 'all'"):
        pipe(TWICE, ambiguous="some")
    with pytest.raises(ValueError, match="`ambiguous` is None"):
        MultimodalRelationExtractionPipeline(model=model, processor=processor, ambiguous=None)


def test_white_space_around_entities_does_not_change_the_result(pipe):
    text = "Acme  and\u200b Bob "
    expected = pipe({"text": text, "entities": ["Acme", "Bob"]})
    assert len(expected["pairs"]) == 1
    spans = [[0, 4], [0, 5], [9, 14], [0, 6], [11, 14], {"start": 10, "end": 15, "text": " Bob"}, "Bob "]
    result = pipe({"text": text, "entities": spans})
    assert result == expected
    assert {
        (item["text"], item["start"], item["end"]) for item in (result["pairs"][0][n] for n in ("head", "tail"))
    } == {
        *(("Acme", 0, 4), ("Bob", 11, 14)),
    }
    item = pipe({"text": text, "head": [0, 6], "tail": [9, 15]})
    assert item == pipe({"text": text, "head": "Acme", "tail": "Bob"})
    with pytest.raises(InvalidPost, match="`entities` has 1 different entities"):
        pipe({"text": text, "entities": [[0, 4], [0, 5]]})


@pytest.mark.parametrize(
    ("text", "head"),
    [
        ("Jose\u0301 met Bob", "José"),
        ("José met Bob", "Jose\u0301"),
        ("📣 Jose\u0301 met Bob", {"word": "jose"} | dict(start=2, end=7)),
    ],
)
def test_result_spans_index_the_given_text(pipe, text, head):
    predicted = pipe({"text": text, "head": head, "tail": "Bob"})["head"]
    assert text[predicted["start"] : predicted["end"]] == predicted["text"]
    assert predicted["text"] in ("Jose\u0301", "José")


def test_words_take_precedence_over_the_text(pipe):
    words = {"words": ["Ann", ",", "meets", "Bob"], "head": "Ann", "tail": "Bob"}
    both = {**words, "text": "Ann, meets Bob"}
    assert pipe(both) == pipe(words)
    assert pipe({**both, "tail": {"start": 11, "end": 14, "text": "Bob"}}) == pipe(words)
    with pytest.raises(InvalidPost, match=r"\[0, 3\), is 'Ann , meets' in words and 'Ann' in characters"):
        pipe({**both, "head": [0, 3]})
    with pytest.raises(InvalidPost, match="whose letters differ"):
        pipe({**words, "text": "Eve meets Bob"})


BAD = [
    ({"head": "Ann", "tail": "Bob"}, "text", "no text: neither `text` nor `words`"),
    ({**POST, "text": " "}, "text", "the post has no text"),
    ({**POST, "text": 5}, "text", "`text` is 5"),
    ({**POST, "text": ["Ann", "meets"]}, "text", r"`text` is \['Ann'"),
    ({**POST, "text": "Ann \ud800 [10, 13] Bob"}, "text", "a lone surrogate"),
    ({**POST, "words": "Ann meets Bob"}, "words", "expected a list of words"),
    ({**POST, "words": 7}, "words", "expected a list of words"),
    ({**POST, "words": []}, "words", "no text"),
    ({"text": "Ann meets Bob", "tail": "Bob"}, "head", "`head` is None"),
    ({**POST, "head": "Nixon"}, "head", "which is not in the text"),
    ({**POST, "head": ""}, "head", "without a visible character"),
    ({**POST, "head": [3, 4]}, "head", "no visible character"),
    (
        {**POST, "text": "Ann and Ann and Bob", "head": "Ann"},
        "head",
        r"one of the spans \[0, 3\), \[8, 11\)",
    ),
    ({**POST, "head": (0, 99)}, "head", "lies outside the text"),
    ({**POST, "head": (3, 3)}, "head", "is empty"),
    ({**POST, "head": (3, 0)}, "head", "is reversed"),
    ({**POST, "head": (0, 1, 2)}, "head", "expected a span"),
    ({**POST, "head": (0.0, 3.0)}, "head", "expected a span"),
    ({**POST, "head": {"start": 0}}, "head", "expected `start` and `end`"),
    ({**POST, "tail": {"start": 0, "end": 3, "type": []}}, "tail", "the type of `tail`"),
    ({**POST, "tail": float("nan")}, "tail", "expected a span"),
    ({**POST, "entities": ["Ann", "Bob"]}, "entities", "expected only one of them"),
    ({"text": "Ann meets Bob", "entities": []}, "entities", "has 0 different entities"),
    ({"text": "Ann meets Bob", "entities": ["Ann", [0, 3]]}, "entities", "has 1 different entities"),
    ({"text": "Ann meets Bob", "entities": "Ann"}, "entities", "expected a list of entities"),
    ({"text": "Ann meets Bob", "entities": 5}, "entities", "expected a list of entities"),
    ({"text": "Ann meets Bob", "entities": ["Ann", None]}, "entities", r"`entities\[1\]` is None"),
    ({"text": "a" * 70, "entities": [[i, i + 1] for i in range(65)]}, "entities", "has 65 different entities"),
    ({**POST, "caption": 5}, "caption", "`caption` is 5"),
    ({**POST, "image": "no.png"}, "image", "no such file"),
    ({**POST, "image": {"bytes": b"<html>"}}, "image", "not in an image format"),
    ({**POST, "image": 5}, "image", "expected an image"),
    ({**POST, "image": {}}, "image", "expected an image"),
    ({**POST, "image": np.zeros((3, 0, 3))}, "image", "expected an array"),
    ({**POST, "image": np.full((9, 9, 3), np.nan)}, "image", "NaN or infinite"),
    ({**POST, "image": Image.new("RGB", (5000, 2))}, "image", "is a strip"),
    ({**POST, "objects": [[0, 0, 5, 5]]}, "objects", "but the post has no image"),
    ({**POST, "image": Image.new("RGB", (9, 9)), "objects": [[20, 20, 25, 25]]}, "objects", "no pixel"),
    ({**POST, "image": Image.new("RGB", (9, 9)), "objects": [[0, 0, 0.5, 0.5]]}, "objects", "in fractions"),
    ({**POST, "image": Image.new("RGB", (9, 9)), "objects": [[0, 0, 5]]}, "objects", "not four finite numbers"),
    ({**POST, "image": Image.new("RGB", (9, 9)), "objects": ["no.png"]}, "objects", "no such file"),
    ({**POST, "image": Image.new("RGB", (9, 9)), "objects": 5}, "objects", "`objects` is 5"),
    ({**POST, "image": Image.new("RGB", (9, 9)), "objects": "box"}, "objects", "`objects` is 'box'"),
    ("Ann meets Bob", "post", "expected a mapping"),
    (None, "post", "expected a mapping"),
    (["Ann"], "post", "expected a mapping"),
]


@pytest.mark.parametrize(("post", "field", "message"), BAD)
def test_errors_of_invalid_posts_name_the_field(pipe, post, field, message):
    with pytest.raises(InvalidPost, match=message) as error:
        pipe([post])
    assert error.value.field == field
    # With `strict=False`, its error takes its place among the results.
    before, predicted, after = pipe([POST, post, POST], strict=False)
    assert predicted["field"] == field and "post 1" in predicted["error"]
    close(before, pipe(POST))
    close(after, pipe(POST))


def test_an_invalid_post_does_not_cause_images_to_be_decoded_again(pipe, tmp_path, monkeypatch):
    """Objects in one array are split anew in each attempt; their cached pixels must not be confused."""
    noise = np.random.default_rng(0)
    posts = []
    for i in range(4):
        image, objects = tmp_path / f"{i}.png", noise.integers(0, 256, (2, 9, 9, 3), dtype=np.uint8)
        Image.fromarray(noise.integers(0, 256, (9, 9, 3), dtype=np.uint8)).save(image)
        posts.append({**POST, "image": str(image), "objects": objects})
    bad = {**POST, "image": str(tmp_path / "no.png")}
    alone = [pipe(post) for post in posts]
    opened = []
    original = Image.open
    monkeypatch.setattr(Image, "open", lambda source: opened.append(source) or original(source))
    predicted = pipe([*posts[:2], bad, *posts[2:]], strict=False, batch_size=5)
    assert "no such file" in predicted.pop(2)["error"]
    assert sorted(opened) == sorted([bad["image"]] * 2 + [post["image"] for post in posts])
    for item, other in zip(predicted, alone, strict=True):
        close(item, other)


@pytest.mark.parametrize("posts", [5, "text", b"text", None])
def test_values_other_than_posts_are_rejected(pipe, posts):
    with pytest.raises(InvalidPost, match="expected a mapping with text, head and tail, or a list") as error:
        pipe(posts)
    assert error.value.field == "post"


@pytest.mark.parametrize(
    "options", [{"batch_size": 0}, {"top_k": 0}, {"max_batch_tokens": True}, {"window": 0}, {"top_k": "3"}]
)
def test_invalid_numbers_are_rejected(pipe, options):
    with pytest.raises(ValueError, match="expected 1 or more"):
        pipe(POST, **options)


def test_unknown_options_are_rejected(pipe):
    with pytest.raises(TypeError, match="no option topk; it has batch_size"):
        pipe(POST, topk=3)
    with pytest.raises(ValueError, match="`pairs` is 'all'"):
        pipe(MANY, pairs="all")


def test_a_processor_is_required(model):
    with pytest.raises(ValueError, match="needs the model's processor"):
        MultimodalRelationExtractionPipeline(model=model)


@pytest.fixture(scope="module")
def listed_in_one_order():
    """A text model trained on pairs in MNRE's order: unrelated pairs in text order, related pairs in both orders."""
    set_seed(0)
    chance = random.Random(0)
    verbs = ["likes", "sees", "meets", "calls", "greets", "leads", "joins", "visits", "praises", "quotes"]
    names = ["Ann", "Bob", "Eve", "Tom", "Kim", "Leo"]
    posts = []
    for _ in range(900):
        verb, (first, second) = chance.randrange(10), chance.sample(names, 2)
        related = chance.random() < verb / 10  # the verb is only weak evidence
        post = {"text": f"{first} {verbs[verb]} {second}", "head": first, "tail": second, "label": int(related)}
        if (related and chance.random() < 0.31) or chance.random() < 0.01:
            post["head"], post["tail"] = second, first
        posts.append(post)
    tokenizer = tiny_tokenizer([post["text"] for post in posts])
    processor = TGDIProcessor(tiny_image_processor(), tokenizer, max_length=128)
    listed = Dataset.from_list([{**post, "text": f"{post['text']} {i}"} for i, post in enumerate(posts)])  # distinct
    config = TGDIConfig(
        text_config=tiny_text_config(tokenizer, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0),
        vision_config=tiny_vision_config(),
        id2label={0: "None", 1: "/per/per/peer"},
        tail_first_bias=estimate_tail_first_bias(listed, ["None", "/per/per/peer"]),
        use_visual_prompts=False,
        use_matching_gate=False,
        use_text_oriented_interaction=False,
    )
    model = TGDIForRelationExtraction(config).train()
    optimizer, collate = torch.optim.AdamW(model.parameters(), lr=1e-3), TGDICollator(processor)
    for _ in range(6):
        for start in range(0, len(posts), 30):
            model(**collate(posts[start : start + 30])).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        chance.shuffle(posts)
    return MultimodalRelationExtractionPipeline(model=model, processor=processor), posts


def test_evidence_for_none_covers_all_relations_that_count_as_none(corpus):
    names = corpus["train"].features["label"].names
    one_way = count_inverses(names)
    set_seed(0)
    model, processor = tiny_tgdi(corpus, direction_balanced=True, inverse_labels=one_way)
    pipe = MultimodalRelationExtractionPipeline(model=model.eval(), processor=processor)
    weights, none = model.classifier.weight.detach(), names.index("None")
    directed = torch.zeros(len(names) + one_way)
    directed[none], directed[-1] = np.log(3), np.log(9)  # 3 and 9 of the 3 + 9 + (one_way - 1)
    folded = EvidenceBuilder(pipe.model, pipe.processor.tokenizer).label_weights(directed)
    assert folded.shape == (len(names), weights.shape[1])
    expected = (3 * weights[none] + 9 * weights[-1] + weights[len(names) : -1].sum(dim=0)) / (11 + one_way)
    torch.testing.assert_close(folded[none], expected)
    others = [i for i in range(len(names)) if i != none]
    torch.testing.assert_close(folded[others], weights[others])
    result = pipe(POST, evidence=True)
    assert sum(result["evidence"]["branches"].values()) == pytest.approx(1)
    assert {item["relation"] for item in result["relations"]} <= set(names)


def test_the_order_of_a_pair_is_not_evidence_of_a_relation(listed_in_one_order):
    pipe, posts = listed_in_one_order
    unrelated = [post for post in posts if post["label"] == 0 and post["text"].startswith(post["head"])][:200]

    def share(results):
        return np.mean([item["relation"] != "None" for item in results])

    listed = share(pipe(unrelated))
    swapped = share(pipe([{**post, "head": post["tail"], "tail": post["head"]} for post in unrelated]))
    pairs = [{"text": post["text"], "entities": [post["head"], post["tail"]]} for post in unrelated]
    trusting = share(result["pairs"][0] for result in pipe(pairs, pairs="independent"))
    corrected = share(result["pairs"][0] for result in pipe(pairs))
    print(f"listed {listed:.3f} swapped {swapped:.3f} trusting {trusting:.3f} corrected {corrected:.3f}")
    assert swapped > 0.8 and trusting > 0.8  # the model has learned the order
    assert corrected < listed + 0.1
    # Clearly expressed relations are still found.
    clear = [{"text": f"Ann {verb} Bob", "entities": ["Ann", "Bob"]} for verb in ("quotes", "praises")]
    assert share(result["pairs"][0] for result in pipe(clear)) == 1


@pytest.mark.parametrize("error", [ValueError, OSError])
@pytest.mark.parametrize("workers", [0, 1, 3])
def test_results_before_a_failure_of_the_source_are_yielded(pipe, workers, error):
    def posts():
        yield from [POST] * 6
        raise error

    results = pipe(posts(), batch_size=2, num_workers=workers)
    for _ in range(6):
        next(results)
    with pytest.raises(error):
        next(results)


@pytest.mark.parametrize("posts", [POST, MANY])
def test_nan_scores_are_rejected(pipe, posts):
    """For example from an overflow in float16; any relation would rank first."""
    with torch.no_grad():
        pipe.model.classifier.bias[0] = torch.nan
    with pytest.raises(InvalidPost, match="post 0: the model's scores are NaN.*float32 or bfloat16"):
        pipe(posts)
    assert pipe([{**posts, "id": 7}], strict=False)[0].keys() == {"id", "error", "field"}


LONG = " and so on" * 200


@pytest.mark.parametrize(
    ("post", "cut"),
    [
        (POST, None),
        ({**POST, "text": POST["text"] + LONG}, ["text"]),
        ({**POST, "caption": "two men" + LONG}, ["caption"]),
        ({**POST, "text": POST["text"] + LONG, "caption": "two men"}, ["text", "caption"]),
        ({**MANY, "text": MANY["text"] + LONG}, ["text"]),
        ({**MANY, "caption": "two men" + LONG}, ["caption"]),
    ],
)
def test_results_report_truncated_parts(pipe, post, cut):
    """Each result reports it, in contrast to a warning that is shown once."""
    assert [item.get("truncated") for item in pipe([post, POST, post], batch_size=2)] == [cut, None, cut]


def test_long_texts_are_rejected_without_truncation(pipe):
    long = {**POST, "text": POST["text"] + LONG, "id": 1}
    with pytest.raises(InvalidPost, match="post 1: the text has 8.. tokens with its markers, more than the limit of"):
        pipe([POST, long], truncation=False)
    predicted = pipe([POST, long, {**POST, "caption": LONG}], truncation=False, strict=False)
    assert [("error" in item, item.get("field")) for item in predicted] == [
        (False, None),
        (True, "text"),
        (False, None),
    ]
    with pytest.raises(ValueError, match="`truncation` is 'error'; expected True or False"):
        pipe(POST, truncation="error")
    with pytest.raises(InvalidPost, match="row 0 of the batch.*more than the limit"):
        TGDICollator(pipe.processor, truncation=False)([long])


@pytest.mark.parametrize("threshold", ["0.3", [0.3], {"a": 0.3}, True, 0, 1, float("nan")])
def test_a_threshold_is_a_probability(pipe, threshold):
    with pytest.raises(ValueError, match="`threshold` is .*; expected a probability, a number between 0 and 1"):
        pipe(POST, threshold=threshold)


@pytest.mark.parametrize("limit", [None, 129])
def test_texts_are_truncated_to_the_position_limit(model, processor, limit, caplog):
    """Regardless of the processor's limit; otherwise the first long post would abort a run."""
    processor.max_length = limit  # `None`: the limit of the tokenizer
    processor.tokenizer = copy.deepcopy(processor.tokenizer)
    processor.tokenizer.model_max_length = 512
    long = {"text": f"Ann {'meets ' * 400}Bob", "head": "Ann", "tail": "Bob"}
    predicted = MultimodalRelationExtractionPipeline(model=model, processor=processor)([POST, long])
    assert f"cuts texts at {limit or 512} tokens, but the text encoder has positions for 128" in caplog.text
    assert predicted[1]["truncated"] == ["text"]
    processor.max_length = 128
    caplog.clear()
    expected = MultimodalRelationExtractionPipeline(model=model, processor=processor)([POST, long])
    assert [item["score"] for item in predicted] == pytest.approx([item["score"] for item in expected])
    assert "cuts texts" not in caplog.text


def test_regions_are_read_off_one_pass_over_each_image(pipe_with_regions, image, tmp_path):
    image.save(tmp_path / "post.png")
    model, calls = pipe_with_regions.model, []
    model.tgdi.vision_tower.register_forward_pre_hook(lambda module, args: calls.append(len(args[0])))
    post = {**MANY, "image": str(tmp_path / "post.png"), "objects": [[0, 0, 30, 20], [10, 10, 50, 40]]}
    other = {**POST, "image": image, "objects": [[0, 0, 30, 20]]}
    results = pipe_with_regions([post, other, POST], pairs="independent", max_batch_tokens=100)
    assert calls == [2]  # of 12 + 1 + 1 rows in several passes
    assert results[2]["gate"] is None
    moved = {**other, "objects": [[30, 20, 60, 40]]}
    assert abs(pipe_with_regions(moved)["gate"] - results[1]["gate"]) > 1e-5
    processor = pipe_with_regions.processor
    rows = TGDICollator(processor, share_images=False)([{**other, "head": [0, 3]}])
    with torch.no_grad():
        alone = model(**rows)
    assert results[1]["score"] == pytest.approx(alone.logits.softmax(-1).max().item(), abs=1e-5)
    invalid = {**other, "objects": [[700, 0, 800, 10]]}
    first, second = pipe_with_regions([invalid, other], strict=False)
    assert first["field"] == "objects"
    close(second, results[1])


def test_evidence_of_regions_is_weighted_by_area(pipe_with_regions, image):
    """Of 60 × 40 pixels in 8 × 8 patches, object 0 covers the four patches of a corner, object 1 half of another."""
    boxes = [[0, 0, 15, 10], [52, 35, 60, 40], [0, 0, 60, 40]]
    evidence = pipe_with_regions({**POST, "image": image, "objects": boxes}, evidence=True)["evidence"]
    assert evidence["similarity"].shape == evidence["cosine"].shape == (1, 8, 8, len(evidence["tokens"]))
    assert [region["region"] for region in evidence["regions"]] == ["image", "object 0", "object 1", "object 2"]
    of_text = [i for i, token in enumerate(evidence["tokens"]) if not token["special"]]
    patches = evidence["cosine"][0][:, :, of_text].mean(-1)
    edge = 0.5 / 8  # object 1 begins half a pixel before the last column, which is 7.5 pixels wide
    of_edge = (edge * patches[7, 6] * 8 + 7.5 * patches[7, 7]) / 8
    expected = [patches.mean(), patches[:2, :2].mean(), of_edge, patches.mean()]
    assert [region["cosine"] for region in evidence["regions"]] == pytest.approx(expected, abs=1e-6)
    assert evidence["regions"][3]["tail"] == pytest.approx(evidence["regions"][0]["tail"], abs=1e-6)


def test_model_and_processor_read_objects_alike(model, processor):
    model.config.object_features = "regions"
    with pytest.raises(
        ValueError, match=r"model has `object_features='regions'`, but the processor has 'crops'\. Load"
    ):
        MultimodalRelationExtractionPipeline(model=model, processor=processor)

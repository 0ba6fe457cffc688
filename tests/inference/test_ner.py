from types import SimpleNamespace

import pytest
import torch
from transformers import (
    BertConfig,
    BertForTokenClassification,
    RobertaConfig,
    RobertaForTokenClassification,
    pipeline,
    set_seed,
)

from tgdi_hf import InvalidPost
from tgdi_hf.inference.ner import token_classifier, with_entities
from tgdi_hf.inference.triples import extract_triples

from ..processing.conftest import byte_level, plain_python

TEXT = "Ann meets Bob in Rome"
SIZES = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
LABELS = dict(id2label={0: "O", 1: "B-PER"})


def span(start, end, group="PER", **more):
    return {"entity_group": group, "start": start, "end": end, "score": 0.5, **more}


ANN, BOB, ROME = span(0, 3), span(10, 13), span(17, 21, "LOC")


def save(folder, tokenizer, positions=64, kind="bert"):
    set_seed(0)
    config_class, model_class = {
        "bert": (BertConfig, BertForTokenClassification),
        "roberta": (RobertaConfig, RobertaForTokenClassification),
    }[kind]
    config = config_class(
        vocab_size=len(tokenizer), max_position_embeddings=positions, pad_token_id=tokenizer.pad_token_id, **SIZES,
        **LABELS,
    )  # fmt: skip
    model = model_class(config)
    torch.nn.init.normal_(model.classifier.weight, std=5)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture
def model_folder(processor, tmp_path):
    return save(tmp_path / "ner", processor.tokenizer, positions=16)


def test_tokenizer_without_offsets_is_refused(tmp_path):
    folder = save(tmp_path / "bertweet", plain_python())
    with pytest.raises(ValueError, match=r"BertweetTokenizer, has no character offsets.* with a fast tokenizer"):
        token_classifier(folder)


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_long_posts_are_read_in_windows(processor, tmp_path, kind):
    tokenizer = processor.tokenizer if kind == "bert" else byte_level()
    ner = token_classifier(save(tmp_path / "ner", tokenizer, positions=16, kind=kind))
    long = " ".join(["Ann", "meets", "Bob", "in", "Rome", "and"] * 40)
    (post,) = with_entities([{"text": long}], ner)
    spans = [(one["start"], one["end"]) for one in post["entities"]]
    assert spans == sorted(set(spans))
    assert any(end > len(long) * 0.8 for _, end in spans)  # no window is dropped
    assert all(long[start:end].strip() == long[start:end] != "" for start, end in spans)
    # A text that fits one window gives the output of the plain pipeline.
    plain = pipeline("token-classification", model=str(tmp_path / "ner"), aggregation_strategy="simple")
    assert ner(["Ann Bob"]) == plain(["Ann Bob"])


def test_long_post_does_not_affect_others(pipe, model_folder):
    posts = [{"id": 0, "text": TEXT}, {"id": 1, "text": "Ann meets Bob and Eve in Rome " * 3}, {"id": 2, "text": TEXT}]
    errors = []
    list(extract_triples(pipe, posts, ner=token_classifier(model_folder), on_error=errors.append))
    assert errors == []


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([ANN, span(10, 99)], r"the span \[10, 99\), which is outside the text; expected 0 ≤ start < end ≤ 21"),
        ([ANN, span(-3, 2)], r"the span \[-3, 2\)"),
        ([ANN, span(13, 10)], r"the span \[13, 10\)"),
        ([ANN, span(None, None)], "an entity without offsets.*`start` and `end` in characters"),
        ([ANN, {"entity_group": "PER"}], "an entity without offsets"),
        ([ANN, span(0.0, 3.0)], "an entity without offsets"),
        ([ANN, "Bob"], "returned .*; expected a list of entities"),
        (None, "returned None; expected a list of entities"),
    ],
)
def test_invalid_spans_make_their_post_unusable(pipe, found, message):
    posts = [{"id": 0, "text": TEXT}, {"id": 1, "text": "bad", "where": "posts.jsonl, line 2"}, {"id": 2, "text": TEXT}]
    bad = [{**post, "text": TEXT} if post["id"] == 1 else post for post in posts]
    calls = []

    def ner(texts):
        calls.append(len(texts))
        return [[ANN, BOB], found, [ANN, BOB]]

    one, two, three = with_entities(bad, ner)
    assert len(one["entities"]) == len(three["entities"]) == 2 and calls == [3]
    with pytest.raises(InvalidPost, match=f"^posts.jsonl, line 2: the NER model .*{message}"):
        raise two
    assert two.id == 1
    errors = []
    list(extract_triples(pipe, bad, ner=ner, on_error=errors.append))
    assert len(errors) == 1 and "posts.jsonl, line 2" in errors[0]
    with pytest.raises(InvalidPost, match="posts.jsonl, line 2"):
        list(extract_triples(pipe, bad, ner=ner))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([BOB, ANN], [(0, 3), (10, 13)]),
        ([ANN, ANN, BOB], [(0, 3), (10, 13)]),  # of two windows
        ([span(0, 2), span(2, 3), span(11, 13)], [(0, 3), (10, 13)]),  # pieces of words
        ([ANN, span(9, 14)], [(0, 3), (10, 13)]),  # with the spaces around
        ([ANN, span(5, 5), span(3, 4), span(21, 21), BOB], [(0, 3), (10, 13)]),  # tokens of spaces
        ([ANN, span(0, 13), BOB], [(0, 3), (0, 13), (10, 13)]),  # nested
        ([span(0, 9), span(4, 13)], [(0, 9), (4, 13)]),  # crossing
        ([ANN, span(4, 9, "O"), BOB], [(0, 3), (10, 13)]),  # `ignore_labels=[]`
        ([ANN, {"label": "person", "start": 10, "end": 13}], [(0, 3), (10, 13)]),  # GLiNER's
        ([], []),
    ],
)
def test_entities_are_whole_words_without_duplicates(pipe, found, expected):
    (post,) = with_entities([{"text": TEXT}], lambda texts: [found] * len(texts))
    assert [(one["start"], one["end"]) for one in post["entities"]] == expected
    rows = pipe([post])[0]["pairs"] if len(expected) > 1 else []
    assert len(rows) == len(expected) * (len(expected) - 1) // 2


def test_sub_word_entities_take_the_type_of_the_highest_score():
    pieces = [span(0, 2, "ORG", score=0.4), span(2, 3, "PER", score=0.9), BOB]
    (post,) = with_entities([{"text": TEXT}], lambda texts: [pieces])
    assert post["entities"][0] == {"start": 0, "end": 3, "type": "PER"}


def test_scripts_without_spaces_keep_their_entities():
    text = "安娜在北京见鲍勃"
    (post,) = with_entities([{"text": text}], lambda texts: [[span(0, 2), span(3, 5, "LOC")]])
    assert [(one["start"], one["end"]) for one in post["entities"]] == [(0, 2), (3, 5)]


def test_posts_given_as_words_become_text(pipe):
    (post,) = with_entities([{"words": TEXT.split(), "id": 3}], lambda texts: [[ANN, BOB]])
    assert post["text"] == TEXT and post["words"] is None
    assert pipe(post)["pairs"][0]["head"]["start"] in (0, 10)


@pytest.mark.parametrize("error", [RuntimeError("index out of range"), IndexError("x"), KeyError("y"), MemoryError()])
def test_ner_failure_is_reported_for_its_post_only(pipe, error):
    def ner(texts):
        if "bad" in texts:
            raise error
        return [[ANN, BOB]] * len(texts)

    posts = [{"id": i, "text": "bad" if i == 3 else TEXT} for i in range(6)]
    found = list(with_entities(posts, ner, batch_size=4))
    assert [isinstance(one, InvalidPost) for one in found] == [i == 3 for i in range(6)]
    assert str(found[3]).startswith("post 3: the NER model failed") and type(error).__name__ in str(found[3])
    errors = []
    list(extract_triples(pipe, posts, ner=ner, on_error=errors.append))
    assert len(errors) == 1 and errors[0].startswith("post 3: ")


def test_output_must_have_one_list_per_text():
    found = list(with_entities([{"text": TEXT}] * 3, lambda texts: [[ANN, BOB]]))
    assert [len(post["entities"]) for post in found] == [2, 2, 2]  # retried one by one
    (error,) = with_entities([{"text": TEXT}], lambda texts: [])
    assert "expected a list of entities for each of 1 texts, found 0 lists" in str(error)


def test_too_many_entities_are_reported(pipe):
    text = " ".join(f"A{i:02}" for i in range(70))
    everything = [span(4 * i, 4 * i + 3) for i in range(70)]
    errors, posts = [], [{"id": 0, "text": text}, {"id": 1, "text": TEXT}, {"id": 2, "text": "nobody"}, {"text": ""}]
    answers = {text: everything, TEXT: [ANN, BOB], "nobody": []}
    list(extract_triples(pipe, posts, ner=lambda texts: [answers[one] for one in texts], on_error=errors.append))
    assert len(errors) == 2 and "70 different entities; expected 2 to 64" in errors[0]
    assert errors[1].startswith("post 3: the post has no text")  # its number among all posts


def test_single_tokens_are_refused():
    tokens = [{"entity": "B-PER", "index": 1, "start": 0, "end": 3, "score": 0.9}] * 2
    with pytest.raises(ValueError, match="create it with `aggregation_strategy='simple'`") as error:
        list(with_entities([{"text": TEXT}], lambda texts: [tokens]))
    assert not isinstance(error.value, InvalidPost)


def test_empty_cells_count_as_missing_entities():
    empty = {"text": TEXT, "head": float("nan"), "tail": None, "entities": float("nan")}
    (post,) = with_entities([empty], lambda texts: [[ANN, BOB]])
    assert len(post["entities"]) == 2
    given = {"text": TEXT, "head": "Ann", "tail": "Bob"}
    assert list(with_entities([given], SimpleNamespace())) == [given]

import pytest
import torch
from transformers import BertConfig, BertForTokenClassification, set_seed
from typer.testing import CliRunner

from tgdi_hf import InvalidPost, MultimodalRelationExtractionPipeline
from tgdi_hf.cli.main import app
from tgdi_hf.inference.ner import token_classifier, with_entities
from tgdi_hf.inference.triples import extract_triples

POST = {"id": "a", "text": "Ann meets Bob", "head": "Ann", "tail": "Bob"}


@pytest.fixture
def pipe(model, processor):
    model.classifier.bias.data[0] = -100.0  # never `None`
    return MultimodalRelationExtractionPipeline(model=model, processor=processor)


def test_one_row_per_relation(pipe):
    many = {"id": "b", "text": "Ann meets Bob in Rome", "entities": ["Ann", "Bob", "Rome"]}
    rows = list(extract_triples(pipe, [POST, many]))
    assert [row["id"] for row in rows] == ["a", "b", "b", "b"]
    assert rows[0] == {
        "id": "a",
        "head": "Ann",
        "relation": pipe(POST)["relation"],
        "tail": "Bob",
        "score": pytest.approx(pipe(POST)["score"]),
        "head_start": 0,
        "head_end": 3,
        "tail_start": 10,
        "tail_end": 13,
    }
    assert list(extract_triples(pipe, [POST], min_score=rows[0]["score"] + 0.01)) == []


def test_pairs_without_relation_yield_no_row(model, processor):
    model.classifier.bias.data[0] = 100.0
    pipe = MultimodalRelationExtractionPipeline(model=model, processor=processor)
    assert list(extract_triples(pipe, [POST, {"text": "a b c", "entities": ["a", "b", "c"]}])) == []


def test_entities_of_a_token_classifier(pipe):
    people = [{"entity_group": "PER", "start": 0, "end": 3}, {"entity_group": "PER", "start": 10, "end": 13}]

    def ner(texts):
        return [people if len(text) > 12 else people[:1] for text in texts]

    posts = [{"text": "Ann meets Bob"}, POST, {"words": ["Ann", "meets", "Bob"]}, {"text": "x"}, {"text": None}]
    found = list(with_entities(posts, ner, batch_size=2))
    assert found[0]["entities"] == [{"start": 0, "end": 3, "type": "PER"}, {"start": 10, "end": 13, "type": "PER"}]
    assert found[1] is POST and found[4] is posts[4]
    assert found[2]["text"] == "Ann meets Bob" and found[2]["words"] is None
    errors = []
    rows = list(extract_triples(pipe, posts, ner=ner, on_error=errors.append))
    assert [row["id"] for row in rows] == [None, "a", None]
    assert all(row["relation"].startswith("/per/per/") for row in (rows[0], rows[2]))  # entity types are respected
    assert len(errors) == 1 and "no text" in errors[0]
    with pytest.raises(InvalidPost):
        list(extract_triples(pipe, posts, ner=ner))


def test_all_occurrences_yield_a_row_each_on_request(pipe):
    post = {"id": "a", "text": "Ann meets Bob, Ann leaves", "head": "Ann", "tail": "Bob"}
    errors = []
    assert list(extract_triples(pipe, [post], on_error=errors.append)) == []
    assert "2 times" in errors[0]
    (row,) = extract_triples(pipe, [post], ambiguous="first")
    assert (row["head_start"], row["tail_start"]) == (0, 10)
    rows = list(extract_triples(pipe, [post], ambiguous="all"))
    assert [(row["id"], row["head"], row["head_start"], row["tail_start"]) for row in rows] == [
        *(("a", "Ann", 0, 10), ("a", "Ann", 15, 10)),
    ]


@pytest.fixture
def ner(processor, tmp_path):
    """A token classifier with random weights; with this seed it finds entities."""
    set_seed(0)
    config = BertConfig(
        vocab_size=len(processor.tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, id2label={0: "O", 1: "B-PER"},
    )  # fmt: skip
    model = BertForTokenClassification(config)
    torch.nn.init.normal_(model.classifier.weight, std=5)
    model.save_pretrained(tmp_path / "ner")
    processor.tokenizer.save_pretrained(tmp_path / "ner")
    return str(tmp_path / "ner")


def test_a_real_token_classification_pipeline(pipe, ner):
    (post,) = with_entities([{"text": "ann lee meets bob at harvard in rome"}], token_classifier(ner))
    assert post["entities"]
    assert all(one["type"] == "PER" and 0 <= one["start"] < one["end"] <= len(post["text"]) for one in post["entities"])
    rows = list(extract_triples(pipe, [{"text": "ann lee meets bob at harvard in rome"}], ner=token_classifier(ner)))
    assert rows and all(row["relation"].startswith("/per/per/") for row in rows)


def test_command_finds_entities_of_posts_without(checkpoint, ner, tmp_path):
    posts = tmp_path / "posts.jsonl"
    posts.write_text('{"id": 1, "text": "ann lee meets bob at harvard in rome"}\n{"id": 2, "text": "x"}\n')
    arguments = ["triples", str(checkpoint), str(posts), str(tmp_path / "triples.jsonl")]
    result = CliRunner().invoke(app, [*arguments, "--ner", ner])
    assert result.exit_code == 0 and "skipped: " not in result.output, result.output
    result = CliRunner().invoke(app, arguments)
    assert result.output.count("skipped: ") == 2 and "expected head and tail" in result.output


def test_command_selects_among_occurrences(checkpoint, tmp_path):
    posts = tmp_path / "posts.jsonl"
    posts.write_text('{"id": 1, "text": "Ann meets Bob, Ann leaves", "head": "Ann", "tail": "Bob"}\n')
    arguments = ["triples", str(checkpoint), str(posts), str(tmp_path / "triples.jsonl")]
    result = CliRunner().invoke(app, arguments)
    assert "skipped: " in result.output and "--ambiguous" in result.output
    result = CliRunner().invoke(app, [*arguments, "--ambiguous", "all"])
    assert result.exit_code == 0 and "skipped: " not in result.output, result.output


def test_texts_over_the_limit_can_be_skipped(pipe):
    long = {"id": "long", "text": f"Ann {'meets ' * 400}Bob", "head": "Ann", "tail": "Bob"}
    errors = []
    rows = list(extract_triples(pipe, [long, POST], truncation=False, on_error=errors.append))
    assert [row["id"] for row in rows] == ["a"] and "post 0" in errors[0]
    assert [row["id"] for row in extract_triples(pipe, [long, POST])] == ["long", "a"]

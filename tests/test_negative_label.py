"""Data whose negative label differs from MNRE's `None`, from training to triples."""

import json

import pytest
from datasets import ClassLabel, DatasetDict
from transformers.utils.logging import warning_once
from typer.testing import CliRunner

from tgdi_hf import MultimodalRelationExtractionPipeline, TGDIForRelationExtraction, evaluate, make_compute_metrics
from tgdi_hf.cli.main import app
from tgdi_hf.demo.tiny_model import tiny_tgdi
from tgdi_hf.evaluation.audit import audit
from tgdi_hf.hub.model_card import model_card
from tgdi_hf.inference.triples import extract_triples
from tgdi_hf.training.build import build_model
from tgdi_hf.training.recipe import training_arguments
from tgdi_hf.training.trainer import make_trainer

POSTS = [{"text": "Ann meets Bob", "head": "Ann", "tail": "Bob"}, {"text": "a b c", "entities": ["a", "b", "c"]}]
QUIET = dict(dataloader_num_workers=0, disable_tqdm=True)


def run(*arguments, code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output + str(result.exception)
    return result.output + str(result.exception or "")


def called(corpus: DatasetDict, name: str) -> DatasetDict:
    names = [name if label == "None" else label for label in corpus["train"].features["label"].names]
    return DatasetDict({split: rows.cast_column("label", ClassLabel(names=names)) for split, rows in corpus.items()})


@pytest.fixture
def renamed(corpus):
    return called(corpus, "no_relation")


@pytest.fixture
def undeclared(renamed, tmp_path):
    """A checkpoint from a custom training script that did not declare the negative label."""
    model, processor = tiny_tgdi(renamed)
    model.classifier.bias.data[0] = 100.0
    model.save_pretrained(tmp_path / "run")
    processor.save_pretrained(tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize("name", ["no_relation", "NA", "Other", "NONE"])
def test_training_requires_the_negative_label_first(corpus, encoders, name, tmp_path):
    named = called(corpus, name)
    names = named["train"].features["label"].names
    with pytest.raises(ValueError, match=f"'{name}' may stand for no relation.*`negative_label='{name}'`"):
        build_model(names, *encoders)
    model, processor = tiny_tgdi(named)
    with pytest.raises(ValueError, match=f"--negative '{name}'"):
        make_trainer(model, processor, named, training_arguments(tmp_path, **QUIET))
    with pytest.raises(ValueError, match=f"probably '{name}'"):
        make_compute_metrics(names)
    model, _ = build_model(names, *encoders, negative_label=name)
    assert model.config.negative_label == name


def test_declared_label_is_excluded_from_f1(renamed, tmp_path):
    model, processor = tiny_tgdi(renamed, negative_label="no_relation")
    model.classifier.bias.data[0] = 100.0  # says so of every row
    scores = make_trainer(model, processor, renamed, training_arguments(tmp_path, **QUIET)).evaluate()
    assert scores["eval_f1"] == scores["eval_recall"] == 0 < scores["eval_accuracy"]
    model.config.negative_label = None
    scores = make_trainer(model, processor, renamed, training_arguments(tmp_path, **QUIET)).evaluate()
    assert scores["eval_f1"] == pytest.approx(scores["eval_accuracy"])


def test_from_the_command_line(renamed, encoders, tmp_path):
    renamed.save_to_disk(tmp_path / "data")
    train = ["train", tmp_path / "data", tmp_path / "run", "--text-model", encoders[0], "--vision-model", encoders[1],
             "--epochs", 1, "--set", "toi_num_layers=1", "--both-orders"]  # fmt: skip
    assert "--negative 'no_relation'" in run(*train, code=1)
    assert "--no-negative" in run(*train, "--negative", "x", "--no-negative", code=2)
    run(*train, "--negative", "no_relation")
    config = TGDIForRelationExtraction.from_pretrained(tmp_path / "run").config
    assert config.negative_label == "no_relation" and config.inverse_labels > 0
    run("evaluate", tmp_path / "run", tmp_path / "data", "--report", tmp_path / "report", "--listed-order")
    report = json.loads((tmp_path / "report/report.json").read_text())
    assert report["direction"]["rows"] == sum(label == 0 for label in renamed["validation"]["label"])


def test_evaluation_of_an_undeclared_model_requires_it(undeclared, renamed, caplog, tmp_path):
    with pytest.raises(ValueError, match="--negative 'no_relation'"):
        evaluate(undeclared, renamed["test"], **QUIET)
    assert evaluate(undeclared, renamed["test"], negative="no_relation", **QUIET)["eval_f1"] == 0
    (tmp_path / "posts.jsonl").write_text("".join(json.dumps(post) + "\n" for post in POSTS))
    for command in (["triples"], ["predict", "--drop-none"]):
        arguments = [*command, undeclared, tmp_path / "posts.jsonl", tmp_path / "out.jsonl"]
        assert "--negative 'no_relation'" in run(*arguments, code=1)
        run(*arguments, "--negative", "no_relation")
        assert "no_relation" not in (tmp_path / "out.jsonl").read_text()
    run("triples", undeclared, tmp_path / "posts.jsonl", tmp_path / "all.jsonl", "--no-negative")
    assert (tmp_path / "all.jsonl").read_text().count('"no_relation"') == 4


def test_pipeline_warns_and_does_not_guess(renamed, caplog):
    model, processor = tiny_tgdi(renamed)
    pipe = MultimodalRelationExtractionPipeline(model=model, processor=processor)
    assert "'no_relation' may stand for no relation" in caplog.text
    assert pipe(POSTS[0])["relation"] in model.config.label2id  # a pair with a head and a tail needs no answer to that
    for call in (lambda: pipe(POSTS[0], drop_none=True), lambda: pipe(POSTS[1])):
        with pytest.raises(ValueError, match="requires the label for no relation"):
            call()
    model.classifier.bias.data[0] = 100.0
    assert list(extract_triples(pipe, POSTS, negative_label="no_relation")) == []
    assert len(list(extract_triples(pipe, POSTS, negative_label=None))) == 4
    caplog.clear()
    MultimodalRelationExtractionPipeline(model=model, processor=processor, negative_label="no_relation")
    assert "may stand for no relation" not in caplog.text


def test_data_without_negative_label_is_declared_so(corpus, caplog, tmp_path):
    friends = called(corpus, "friends")
    model, processor = tiny_tgdi(friends)
    warning_once.cache_clear()
    make_trainer(model, processor, friends, training_arguments(tmp_path, **QUIET))
    assert "No label stands for no relation" in caplog.text
    pipe = MultimodalRelationExtractionPipeline(model=model, processor=processor)
    assert pipe(POSTS[0], drop_none=True)["relation"] is not None
    assert "`drop_none` has no effect" in caplog.text


@pytest.mark.no_cover
def test_card_and_audit_use_it(renamed):
    model, _ = tiny_tgdi(renamed, negative_label="no_relation")
    assert "including `no_relation` for no relation" in str(model_card(model, "me/tiny"))
    model.config.negative_label = None
    assert "every entity pair has one of them" in str(model_card(model, "me/tiny"))
    model.config.negative_label = "None"
    with pytest.raises(ValueError, match="may stand for no relation"):
        model_card(model, "me/tiny")
    with pytest.raises(ValueError, match="may stand for no relation"):
        audit(renamed)
    assert "relation or no_relation" in audit(renamed, negative="no_relation")["targets"]

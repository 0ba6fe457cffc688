"""Multi-label models: an entity pair has any number of relations, from rows to triples."""

import json

import pytest
import torch
from datasets import DatasetDict
from transformers import set_seed
from typer.testing import CliRunner

from tgdi_hf import MultimodalRelationExtractionPipeline, TGDICollator, evaluate, evaluation_report
from tgdi_hf.cli.main import app
from tgdi_hf.data.labels import with_class_labels
from tgdi_hf.demo.tiny_model import tiny_tgdi
from tgdi_hf.hub.model_card import model_card
from tgdi_hf.inference.triples import extract_triples
from tgdi_hf.training.recipe import training_arguments
from tgdi_hf.training.trainer import make_trainer

QUIET = dict(dataloader_num_workers=0, disable_tqdm=True)
MULTI_LABEL = "multi_label_classification"


@pytest.fixture(scope="session")
def sets(corpus) -> DatasetDict:
    """The embedded corpus with two labels per relation: the relation and its group."""
    names = corpus["train"].features["label"].names

    def of(label):
        return {"labels": [] if names[label] == "None" else [names[label].rpartition("/")[2], "any"]}

    return with_class_labels(corpus.map(of, input_columns="label", remove_columns="label"))


@pytest.fixture(scope="session")
def trainer(sets, tmp_path_factory):
    set_seed(0)
    model, processor = tiny_tgdi(sets)
    folder = tmp_path_factory.mktemp("multi_label")
    # A few rows, learned by heart.
    arguments = training_arguments(
        folder, num_train_epochs=40, learning_rate=3e-3, per_device_train_batch_size=8, eval_strategy="no",
        save_strategy="no", load_best_model_at_end=False, **QUIET,
    )  # fmt: skip
    trainer = make_trainer(model, processor, {**sets, "train": sets["train"].select(range(24))}, arguments)
    trainer.train()
    trainer.save_model()
    return trainer


@pytest.fixture
def pipe(trainer):
    return MultimodalRelationExtractionPipeline(model=trainer.model, processor=trainer.processing_class)


def expected(sets, split, place):
    names = sets[split].features["label"].feature.names
    return {names[i] for i in sets[split]["label"][place]}


def test_model_learns_sets_of_relations(sets, trainer):
    assert trainer.model.config.problem_type == MULTI_LABEL
    scores = trainer.evaluate(sets["train"].select(range(24)))
    assert scores["eval_f1"] > 0.9 and scores["eval_accuracy"] > 0.8


def test_pipeline_lists_every_predicted_relation(sets, pipe):
    rows = sets["train"].select(range(24))
    found = pipe(list(rows))
    right = [
        {one["relation"] for one in result["relations"]} == expected(sets, "train", i) for i, result in enumerate(found)
    ]
    assert sum(right) > 18
    assert {len(result["relations"]) for result in found} >= {0, 2}
    for result in found:
        scores = [one["score"] for one in result["relations"]]
        assert scores == sorted(scores, reverse=True) and all(score >= 0.5 for score in scores)
        first = result["relations"][0] if scores else {"relation": None, "score": None}
        assert {name: result[name] for name in first} == first
    assert max(len(result["relations"]) for result in pipe(list(rows), top_k=1)) == 1
    assert all(len(result["relations"]) == len(pipe.names) for result in pipe(list(rows), threshold=1e-9))
    evidence = pipe(rows[0], evidence=True)["evidence"]
    assert set(evidence["text_only"]) == {"relation", "score"}


def test_all_pairs_and_triples(pipe, sets):
    text = "Ann meets Bob in Rome"
    (one,) = [pipe({"text": text, "entities": ["Ann", "Bob"]}, threshold=1e-9)]
    assert [(pair["head"]["text"], pair["tail"]["text"]) for pair in one["pairs"]] == [("Ann", "Bob"), ("Bob", "Ann")]
    (none,) = pipe({"text": text, "entities": ["Ann", "Bob"]}, threshold=1 - 1e-9)["pairs"]
    assert none["relation"] is None and none["relations"] == []
    assert pipe({"text": text, "entities": ["Ann", "Bob"]}, threshold=1 - 1e-9, drop_none=True)["pairs"] == []
    post = {"id": "a", "text": text, "head": "Ann", "tail": "Bob"}
    triples = list(extract_triples(pipe, [post], threshold=1e-9))
    assert [row["relation"] for row in triples] == [one["relation"] for one in pipe(post, threshold=1e-9)["relations"]]
    assert {row["head"] for row in triples} == {"Ann"}


def test_thresholds_of_the_configuration(trainer, pipe, sets):
    row = next(row for row in sets["train"] if row["label"])
    trainer.model.config.decision_thresholds = [1e-9] * len(pipe.names)
    try:
        assert len(pipe(row)["relations"]) == len(pipe.names)
        assert len(pipe(row, threshold=1 - 1e-9)["relations"]) < len(pipe.names)
    finally:
        trainer.model.config.decision_thresholds = None


def test_checkpoint_is_evaluated(trainer, sets, tmp_path):
    sets.save_to_disk(tmp_path / "data")
    checkpoint = trainer.args.output_dir
    scores = evaluate(checkpoint, sets["validation"], **QUIET)
    assert scores["eval_f1"] == pytest.approx(trainer.evaluate(sets["validation"])["eval_f1"])
    assert "eval_f1 any" in scores
    with pytest.raises(ValueError, match="is multi-label; the report requires rows with one label"):
        evaluation_report(checkpoint, sets["validation"], **QUIET)
    run = CliRunner().invoke(app, ["evaluate", str(checkpoint), str(tmp_path / "data")])
    assert run.exit_code == 0 and "f1 " in run.output
    post = {"text": "Ann meets Bob", "head": "Ann", "tail": "Bob"}
    (tmp_path / "posts.jsonl").write_text(json.dumps(post) + "\n")
    arguments = [checkpoint, tmp_path / "posts.jsonl", tmp_path / "out.jsonl", "--threshold", "1e-9"]
    assert CliRunner().invoke(app, ["predict", *map(str, arguments)]).exit_code == 0
    assert len(json.loads((tmp_path / "out.jsonl").read_text())["relations"]) == trainer.model.config.num_labels
    assert "an entity pair may have several, or none" in str(model_card(trainer.model, "me/tiny"))


def test_problem_types_of_rows_and_model_must_agree(corpus, sets, checkpoint, trainer, tmp_path):
    model, processor = tiny_tgdi(corpus)
    with pytest.raises(ValueError, match="rows have lists of labels; build the model with `problem_type="):
        make_trainer(model, processor, sets, training_arguments(tmp_path, **QUIET))
    with pytest.raises(ValueError, match="but the rows have one label each"):
        make_trainer(trainer.model, processor, corpus, training_arguments(tmp_path, **QUIET))
    with pytest.raises(ValueError, match="scored on rows with lists of labels"):
        evaluate(checkpoint, sets["test"], **QUIET)
    single = MultimodalRelationExtractionPipeline(model=model, processor=processor)
    with pytest.raises(ValueError, match="`threshold` requires a multi-label model"):
        single({"text": "a b", "head": "a", "tail": "b"}, threshold=0.3)
    with pytest.raises(ValueError, match="`threshold` is 2; expected a probability"):
        single({"text": "a b", "head": "a", "tail": "b"}, threshold=2)


ROW = {"text": "Ann meets Bob", "head": (0, 3), "tail": (10, 13)}


def test_collator_encodes_multi_hot_labels(processor):
    batch = TGDICollator(processor, num_labels=3)([{**ROW, "label": [2, 0]}, {**ROW, "label": []}])
    assert torch.equal(batch["labels"], torch.tensor([[1.0, 0, 1], [0, 0, 0]]))
    with pytest.raises(ValueError, match=r"`label` is \[0, 2\], a list; for a multi-label model pass `num_labels`"):
        TGDICollator(processor)([{**ROW, "label": [0, 2]}])


@pytest.mark.parametrize("label", [[3], [-1], [True], ["peer"], 1, None, [0.5]])
def test_invalid_label_sets_are_refused(processor, label):
    with pytest.raises(ValueError, match="expected a list of label ids from 0 to 2"):
        TGDICollator(processor, num_labels=3)([{**ROW, "label": label}])

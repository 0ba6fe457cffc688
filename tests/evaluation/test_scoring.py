import pytest
from datasets import ClassLabel

from tgdi_hf import evaluate


def test_evaluate_scores_a_checkpoint_and_each_relation(corpus, checkpoint):
    metrics = evaluate(checkpoint, corpus["test"], dataloader_num_workers=0, disable_tqdm=True)
    assert 0 <= metrics["eval_f1"] <= 1
    assert "eval_f1 /per/per/couple" in metrics


def test_evaluate_matches_relations_by_name(corpus, checkpoint):
    quick = dict(dataloader_num_workers=0, disable_tqdm=True)
    rows = corpus["test"]
    names = rows.features["label"].names
    expected = evaluate(checkpoint, rows, **quick)
    order = [*reversed(names)]
    labels = [order.index(names[label]) for label in rows["label"][:]]
    others = rows.remove_columns("label").add_column("label", labels, feature=ClassLabel(names=order))
    again = evaluate(checkpoint, others, **quick)
    assert {k: v for k, v in again.items() if "f1" in k} == {k: v for k, v in expected.items() if "f1" in k}
    strange = rows.remove_columns("label").add_column("label", [0] * len(rows), feature=ClassLabel(names=["friend"]))
    with pytest.raises(ValueError, match="the relation 'friend', which is not a label of the model in "):
        evaluate(checkpoint, strange, **quick)

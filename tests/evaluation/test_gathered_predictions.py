import numpy as np
import pytest
import torch
from transformers import EvalPrediction

from tgdi_hf import make_compute_metrics
from tgdi_hf.evaluation.gathered_predictions import logits_and_labels
from tgdi_hf.training.recipe import training_arguments
from tgdi_hf.training.trainer import make_trainer

LOGITS, LABELS = np.array([[0.0, 2, 1], [3, 1, 0], [0, 0, 1]]), np.array([1, 0, 1])
PLAIN = dict(
    dataloader_num_workers=0, disable_tqdm=True, save_strategy="no", load_best_model_at_end=False, eval_strategy="no",
    per_device_eval_batch_size=12,
)  # fmt: skip


@pytest.mark.parametrize(
    ("predictions", "labels"),
    [
        (LOGITS, LABELS),
        ((LOGITS, "states"), LABELS),
        (LOGITS.tolist(), LABELS.tolist()),
        ([LOGITS[:2], LOGITS[2:]], [LABELS[:2], LABELS[2:]]),  # of unequal length
        ([(LOGITS[:2], "states"), (LOGITS[2:], "states")], [LABELS[:2], LABELS[2:]]),
        ([torch.tensor(LOGITS).bfloat16()], [torch.tensor(LABELS)]),
        (torch.tensor(LOGITS).bfloat16(), torch.tensor(LABELS)),
    ],
)
def test_logits_and_labels_are_joined(predictions, labels):
    found = logits_and_labels(EvalPrediction(predictions=predictions, label_ids=labels))
    assert found[0].tolist() == LOGITS.tolist() and found[1].tolist() == LABELS.tolist()


@pytest.mark.parametrize("options", [{"batch_eval_metrics": True}, {"eval_do_concat_batches": False}])
def test_every_way_of_evaluating_gives_the_same_metrics(corpus, processor, model, tmp_path, options):
    """12 rows a batch: the last one of 32 is shorter. Twice: nothing is left of the evaluation before."""
    scores = []
    for chosen in ({}, options):
        trainer = make_trainer(model, processor, corpus, training_arguments(tmp_path, **PLAIN, **chosen))
        scores += [trainer.evaluate(), trainer.evaluate()]
    names = ("eval_accuracy", "eval_precision", "eval_recall", "eval_f1")
    assert len({tuple(found[name] for name in names) for found in scores}) == 1
    assert trainer.predict(corpus["test"]).metrics["test_f1"] >= 0


def test_batches_by_hand():
    """Of three rows the first two are right; the third has relation `a`, and `b` was predicted."""
    metrics = make_compute_metrics(["None", "a", "b"])
    first, last = (EvalPrediction(torch.tensor(LOGITS[rows]), torch.tensor(LABELS[rows])) for rows in ([0, 1], [2]))
    expected = {"accuracy": 2 / 3, "precision": 1 / 2, "recall": 1 / 2, "f1": 1 / 2}
    assert metrics(first, compute_result=False) == {}
    assert metrics(last, compute_result=True) == expected
    metrics(first, compute_result=False)
    metrics.reset()  # after an interrupt
    assert metrics(first, compute_result=True)["accuracy"] == 1
    several = make_compute_metrics(["a", "b"], thresholds=[0.5, 0.5])
    batch = EvalPrediction(torch.tensor([[1.0, -1], [1, 1]]), torch.tensor([[1.0, 0], [0, 1]]))
    several(batch, compute_result=False)
    assert several(batch, compute_result=True)["precision"] == 2 / 3


@pytest.mark.parametrize("thresholds", [None, [0.5, 0.5]])
def test_nan_is_no_prediction(thresholds):
    """NaN is the largest of all numbers to `argmax`, and no row would look unusual."""
    labels = np.array([0, 0]) if thresholds is None else np.zeros((2, 2))
    metrics = make_compute_metrics(["None", "a"], thresholds=thresholds)
    with pytest.raises(ValueError, match="logits of 1 of 2 rows are NaN.*lower the learning rate"):
        metrics(EvalPrediction(np.array([[0, np.nan], [1, 0]]), labels))

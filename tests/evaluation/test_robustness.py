import numpy as np
import pytest
from datasets import Dataset

from tgdi_hf import evaluation_report
from tgdi_hf.data.dataset_columns import undecoded
from tgdi_hf.data.perturbed import NothingToPerturb, PerturbedDataset
from tgdi_hf.evaluation.report_tables import report_as_markdown
from tgdi_hf.evaluation.robustness import CAPTION_CONTROLS, IMAGE_CONTROLS, robustness

from .scored import QUICK, replace_probabilities


def names_of(corpus):
    return corpus["test"].features["label"].names


def test_a_model_that_follows_images_is_misled_by_others(corpus, model, processor, monkeypatch):
    """It is right about a post with its own image, and otherwise predicts no relation."""
    own = {row["id"]: row["image"] for row in undecoded(corpus["train"])}

    def follows(model, processor, names, rows, **arguments):
        rows = [rows[i] for i in range(len(rows))]
        keeps_image = [not isinstance(row["image"], np.ndarray) and row["image"] == own[row["id"]] for row in rows]
        return np.eye(len(names))[[row["label"] if keeps else 0 for row, keeps in zip(rows, keeps_image)]]

    replace_probabilities(monkeypatch, follows)
    labels = np.array(corpus["train"]["label"])
    posts = [f"post {i // 2}" for i in range(len(labels))]
    found = robustness(model, processor, names_of(corpus), corpus["train"], labels, posts, rounds=50)
    assert list(found) == [*IMAGE_CONTROLS, *CAPTION_CONTROLS]
    with_image = np.array([image is not None for image in own.values()])
    for control in IMAGE_CONTROLS:
        assert found[control]["rows"] == with_image.sum()
        assert found[control]["unchanged"] == {"value": 1, "low": 1, "high": 1}
        assert found[control]["perturbed"] == {"value": 0, "low": 0, "high": 0}
        assert found[control]["drop"] == {"value": 1, "low": 1, "high": 1}
        assert found[control]["answers"] == (labels[with_image] != 0).mean()
    for control in CAPTION_CONTROLS:
        assert found[control]["drop"]["value"] == found[control]["answers"] == 0
    # Few rows have no intervals.
    few = corpus["train"].select(range(20))
    found = robustness(model, processor, names_of(corpus), few, labels[:20], rounds=10)
    assert found["no-image"]["drop"] == {"value": 1, "low": None, "high": None}


def test_what_a_model_does_not_read_is_not_perturbed(corpus, model, processor, monkeypatch):
    replace_probabilities(
        monkeypatch, lambda model, processor, names, rows, **arguments: np.eye(len(names))[[0] * len(rows)]
    )
    labels = np.array(corpus["test"]["label"])
    monkeypatch.setattr(processor, "use_caption", False)
    assert tuple(robustness(model, processor, names_of(corpus), corpus["test"], labels, rounds=5)) == IMAGE_CONTROLS
    monkeypatch.setattr(model.config, "use_visual_prompts", False)
    monkeypatch.setattr(model.config, "use_matching_gate", False)
    assert robustness(model, processor, names_of(corpus), corpus["test"], labels, rounds=5) == {}


def test_rows_without_images_and_captions_have_nothing_to_perturb(corpus, checkpoint):
    texts = corpus["test"].select_columns(["text", "head", "tail", "label"])
    report, _ = evaluation_report(checkpoint, texts, rounds=5, **QUICK)
    assert report["robustness"] == {}
    assert "perturbation" not in report_as_markdown(report)
    same = Dataset.from_dict({"caption": ["x", "x"]})
    with pytest.raises(NothingToPerturb, match="All rows have the same image or caption"):
        PerturbedDataset(same, "shuffled-captions")


def test_the_report_shows_the_robustness(corpus, checkpoint):
    report, answers = evaluation_report(checkpoint, corpus["test"], rounds=20, **QUICK)
    found = report["robustness"]["no-image"]
    perturbed = PerturbedDataset(corpus["test"], "no-image")
    _, other = evaluation_report(checkpoint, corpus["test"], control=perturbed, rounds=5, **QUICK)
    rows = perturbed.changed
    before, after = (of["probabilities"].argmax(axis=1)[rows] for of in (answers, other))
    assert found["rows"] == len(rows) and found["answers"] == (before != after).mean()
    text = report_as_markdown(report)
    assert f"| no-image | {len(rows)} | {100 * found['unchanged']['value']:.1f}" in text
    without, _ = evaluation_report(checkpoint, corpus["test"], rounds=5, perturb=False, **QUICK)
    assert "robustness" not in without

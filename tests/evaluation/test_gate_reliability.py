from types import SimpleNamespace

import pytest
import torch

from tgdi_hf import evaluation_report, fine_tune
from tgdi_hf.evaluation.gate_reliability import gate_reliability
from tgdi_hf.evaluation.report_figures import draw_gate
from tgdi_hf.evaluation.report_tables import report_as_markdown
from tgdi_hf.modeling.configuration_tgdi import TGDIConfig

from .scored import QUICK


class Knowing(torch.nn.Module):
    """A model whose gate is 0.9 for own and 0.2 for other images."""

    device = torch.device("cpu")

    def forward(self, image_matches, **inputs):
        gate = torch.where(image_matches.bool(), 0.9, 0.2)[:, None].expand(-1, 4)
        return SimpleNamespace(matching_gate=gate)


def test_the_error_of_a_known_gate(corpus, processor):
    model = Knowing().train()
    found = gate_reliability(model, processor, corpus["train"], batch_size=32)
    with_image = sum(image is not None for image in corpus["train"]["image"])
    assert model.training and found["rows"] == with_image
    assert found["auroc"] == 1.0
    assert found["share"] == pytest.approx(0.5, abs=0.05)
    # Gaps of 0.1 for own and 0.2 for other images.
    assert found["ece"] == pytest.approx(0.1 * (1 - found["share"]) + 0.2 * found["share"])
    assert found == gate_reliability(model, processor, corpus["train"], batch_size=32)


def test_nothing_is_measured_without_images_or_gate(corpus, processor, model):
    rows = corpus["train"].select(range(16))
    bare = rows.remove_columns("image").remove_columns("objects")
    assert gate_reliability(Knowing(), processor, bare) is None
    assert gate_reliability(Knowing(), processor, rows.select([0])) is None  # no other image
    model.tgdi.matching_gate = None
    assert gate_reliability(model, processor, rows) is None


def test_a_model_that_was_trained_for_it_reports_the_probability(corpus, encoders, tmp_path):
    few = {"train": corpus["train"].select(range(16)), "validation": corpus["validation"].select(range(16))}
    quick = dict(QUICK, num_train_epochs=1)
    options = {"matching_loss_weight": 1.0, "num_objects": 0}
    metrics = fine_tune(few, tmp_path, *encoders, swap_images=0.25, model_options=options, **quick)
    config = TGDIConfig.from_pretrained(tmp_path)
    assert config.gate_is_probability and config.gate_calibration_error == metrics["eval_gate_ece"]
    assert 0 <= metrics["eval_gate_auroc"] <= 1
    report = evaluation_report(tmp_path, few["validation"], rounds=10, perturb=True, **QUICK)[0]
    assert report["gate"]["ece"] == pytest.approx(metrics["eval_gate_ece"], abs=1e-5)
    assert "The gate as the probability that an image belongs to its text, over" in report_as_markdown(report)
    figure = pytest.importorskip("matplotlib.figure").Figure()
    draw_gate(figure.subplots(), report)
    assert figure.axes[0].get_title() == f"expected calibration error {report['gate']['ece']:.3f}"

import pytest
import torch

from tgdi_hf.processing.evidence import branch_shares, gate_summary, patch_maps


def test_the_gate_is_summarized_over_its_channels():
    summary = gate_summary(torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]))
    assert summary["mean"] == 0.5
    assert summary["std"] == pytest.approx(0.3953, abs=1e-4)
    assert summary["quantiles"] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert summary["is_probability"] is False


def test_patch_maps_omit_empty_slots_and_padding():
    scores = torch.arange(2 * 6 * 4.0).view(12, 4)  # two slots of 2 x 3 patches, four tokens
    maps = patch_maps(scores, torch.tensor([False, True]), tokens=3, grid=(2, 3))
    assert maps.shape == (1, 2, 3, 3)
    assert maps[0, 1, 2].tolist() == [44, 45, 46]  # the last patch, without the padding


def test_branch_shares_split_the_margin_of_the_winner():
    # The winner's weights differ from the mean by (1, -1). With λ = 0.25, f_1 adds 0.75 · 2 and f_3 adds 0.25 · -2.
    classifier = torch.tensor([[2.0, 0.0], [0.0, 2.0]])
    shares = branch_shares(torch.tensor([3.0, 1.0]), torch.tensor([1.0, 3.0]), 0.25, classifier, 0)
    assert shares == {"cross_modal": pytest.approx(0.75), "text_oriented": pytest.approx(0.25)}
    nothing = branch_shares(torch.zeros(2), torch.zeros(2), 0.5, classifier, 1)
    assert nothing == {"cross_modal": 0.0, "text_oriented": 0.0}

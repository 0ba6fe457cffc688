from types import SimpleNamespace

import pytest
import torch

from tgdi_hf.modeling.result_fusion import at_markers, fuse_results

HEAD, TAIL = torch.tensor([0, 2]), torch.tensor([1, 0])
STATES = torch.arange(12.0).view(2, 3, 2)  # two posts of three tokens, d = 2
AT_MARKERS = torch.tensor([[0.0, 1, 2, 3], [10, 11, 6, 7]])


def test_states_at_both_markers_are_concatenated():
    assert torch.equal(at_markers(STATES, HEAD, TAIL), AT_MARKERS)


@pytest.mark.parametrize(
    ("f_3", "use_result_fusion", "expected"),
    [
        (3 * STATES, True, 0.25 * 3 * AT_MARKERS + 0.75 * AT_MARKERS),
        (3 * STATES, False, 3 * AT_MARKERS),  # w/o R
        (None, True, 2 * AT_MARKERS),  # w/o TOI
    ],
)
def test_results_are_fused_by_equation_14(f_3, use_result_fusion, expected):
    config = SimpleNamespace(fusion_lambda=0.25, use_result_fusion=use_result_fusion)
    torch.testing.assert_close(fuse_results(STATES, 2 * STATES, f_3, HEAD, TAIL, config), expected)

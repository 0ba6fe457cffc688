from types import SimpleNamespace

import pytest
import torch

from examples.research.reproduce.averaged import AveragedWeights, step_average


def test_averaged_weights_favour_the_last_quarter():
    # The first step is copied, the others have weights of 4/5 and 4/6.
    average = [torch.tensor([9.0])]
    for step, value in ((1, 1.0), (2, 6.0), (3, 2.0)):
        step_average(average, [torch.tensor([value])], step)
    assert average[0].item() == pytest.approx((1 * 1 / 5 + 6 * 4 / 5) * 2 / 6 + 2 * 4 / 6)
    share = [torch.tensor([0.0])]
    for step in range(1, 1001):
        step_average(share, [torch.tensor([float(step > 750)])], step)
    assert share[0].item() == pytest.approx(1 - 0.75**4, abs=0.01)


def test_averaged_model_keeps_the_latest_buffers():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    state, callback = SimpleNamespace(global_step=0), AveragedWeights()
    callback.on_train_begin(None, state, None, model)
    weights = []
    for state.global_step in (1, 2):
        model(torch.rand(8, 2) + 3)
        model[0].weight.data += 1
        weights.append(model[0].weight.data.clone())
        callback.on_step_end(None, state, None, model)
    torch.testing.assert_close(callback.model[1].running_mean, model[1].running_mean)
    assert callback.model[1].num_batches_tracked == 2
    torch.testing.assert_close(callback.model[0].weight.data, weights[0] / 5 + weights[1] * 4 / 5)

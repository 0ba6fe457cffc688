import pytest
import torch
from transformers import CLIPVisionConfig, CLIPVisionModel
from transformers.utils.output_capturing import maybe_install_capturing_hooks

from tgdi_hf.modeling.recording_hooks import install_recording_hooks, without_recording_hooks

from .conftest import IMAGE, VISION


def num_recording_hooks(module):
    hooks = (hook for part in module.modules() for hook in part._forward_hooks.values())
    return sum(hook.__module__ == maybe_install_capturing_hooks.__module__ for hook in hooks)


@pytest.fixture
def tower():
    torch.manual_seed(0)
    return CLIPVisionModel(CLIPVisionConfig(**VISION, intermediate_size=48)).eval()


def test_hooks_are_installed_ahead_of_the_first_forward_pass(tower):
    assert num_recording_hooks(tower) == 0
    install_recording_hooks(tower)
    assert num_recording_hooks(tower) > 0


def test_a_module_without_recording_hooks_shares_weights_and_keeps_other_hooks(tower):
    install_recording_hooks(tower)
    installed, calls = num_recording_hooks(tower), []
    tower.register_forward_hook(lambda *args: calls.append(1))
    bare = without_recording_hooks(tower)
    assert num_recording_hooks(bare) == 0
    assert num_recording_hooks(tower) == installed  # the module itself is unchanged
    assert all(one is other for one, other in zip(tower.parameters(), bare.parameters(), strict=True))
    pixels = torch.randn(1, 3, IMAGE, IMAGE)
    assert torch.equal(bare(pixels).last_hidden_state, tower(pixels).last_hidden_state)
    assert calls == [1, 1]

"""Training in several processes, one of which has a batch without images."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import CLIPVisionConfig

from examples.research.baselines import MKGformerForRelationExtraction
from tgdi_hf.modeling.blank_images import blank_image, trains_with_other_processes

from ..examples.research.test_baselines import VISUAL
from ..examples.research.test_baselines import make as make_baseline
from .conftest import prefixed_with, tiny_inputs, tiny_model

LABELS = torch.tensor([0, 1, 2, 3])
TEXT_ONLY = tiny_inputs(images=False)
VISUAL_PARTS = ("vision_tower", "visual_prompts", "matching_gate")
VARIANTS = {
    "default": {},
    "no text-oriented interaction": {"use_text_oriented_interaction": False},
    "no prompts": {"use_visual_prompts": False},
    "no gate": {"use_matching_gate": False},
    "all losses": {
        "matching_loss_weight": 1.0,
        "branch_consistency_weight": 1.0,
        "gate_visual_prompts": True,
        "gate_attention": True,
        "text_loss_weight": 1.0,
    },
    "regions": {"object_features": "regions"},
    "grid": {"prompt_grid": 2, "toi_share_text_encoder": False},
}


@pytest.fixture
def two_processes(monkeypatch):
    """Simulates `torch.distributed` in one of two processes."""
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)


def gradients(model, inputs):
    model.zero_grad()
    model(**inputs, labels=LABELS).loss.backward()
    return {name: None if p.grad is None else p.grad.clone() for name, p in model.named_parameters() if p.requires_grad}


def assert_equal_or_zero(joint, alone):
    """Gradients in one of two processes are zeros where a single process has none, and equal elsewhere."""
    assert joint.keys() == alone.keys()
    for name, gradient in joint.items():
        assert gradient is not None, name
        expected = torch.zeros_like(gradient) if alone[name] is None else alone[name]
        torch.testing.assert_close(gradient, expected, msg=prefixed_with(name))


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_one_of_two_processes_has_a_gradient_of_every_weight(options, implementation, request):
    model = tiny_model(**options, attn_implementation=implementation).train()
    alone = gradients(model, TEXT_ONLY)
    logits = model(**TEXT_ONLY).logits
    assert any(gradient is None for gradient in alone.values())  # in a single process
    request.getfixturevalue("two_processes")
    torch.testing.assert_close(model(**TEXT_ONLY).logits, logits)
    assert_equal_or_zero(gradients(model, TEXT_ONLY), alone)


@pytest.mark.parametrize("vision", ["vit", "dinov2", "dinov3_vit", "siglip_vision_model"])
def test_every_vision_encoder_accepts_the_blank_image(vision, two_processes):
    model = tiny_model(vision=vision).train()
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients(model, TEXT_ONLY).values())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_gradients_are_zero_in_half_precision(dtype, two_processes):
    model = tiny_model().to(dtype).train()
    found = gradients(model, TEXT_ONLY)
    visual = {name: gradient for name, gradient in found.items() if any(part in name for part in VISUAL_PARTS)}
    assert visual and all(gradient is not None and not gradient.any() for gradient in visual.values())
    assert all(gradient.isfinite().all() for gradient in found.values())


def test_a_frozen_encoder_does_not_encode_the_blank_image(two_processes):
    model = tiny_model()
    model.freeze_vision_encoder()
    model.train()
    model.tgdi.vision_tower.register_forward_pre_hook(lambda *args: pytest.fail("the vision encoder ran"))
    assert all(gradient is not None for gradient in gradients(model, TEXT_ONLY).values())


def test_evaluation_and_text_models_need_no_blank_image(two_processes):
    model = tiny_model()
    assert model(**TEXT_ONLY).similarity is None
    with torch.no_grad():
        assert model.train()(**TEXT_ONLY).similarity is None
    blind = tiny_model(use_visual_prompts=False, use_matching_gate=False).train()
    assert all(gradient is not None for gradient in gradients(blind, TEXT_ONLY).values())


@pytest.mark.parametrize(
    ("model_class", "vision"), [*((one, "clip_vision_model") for one in VISUAL), (VISUAL[1], "resnet")]
)
def test_baselines_have_a_gradient_of_every_weight(model_class, vision, request):
    model = make_baseline(model_class, vision).train()
    before = {name: value.clone() for name, value in model.named_buffers()}
    alone = gradients(model, TEXT_ONLY)
    unused = {name for name, gradient in gradients(model, tiny_inputs()).items() if gradient is None}
    for name, value in model.named_buffers():
        value.copy_(before[name])
    request.getfixturevalue("two_processes")
    joint = {name: gradient for name, gradient in gradients(model, TEXT_ONLY).items() if name not in unused}
    assert_equal_or_zero(joint, {name: gradient for name, gradient in alone.items() if name not in unused})
    assert all(torch.equal(value, before[name]) for name, value in model.named_buffers())


@pytest.mark.parametrize(("size", "expected"), [(32, (32, 32)), ((16, 24), (16, 24)), ([8, 16], (8, 16))])
def test_the_blank_image_has_the_size_of_the_vision_encoder(size, expected):
    config = CLIPVisionConfig(image_size=16, num_channels=4)
    config.image_size = size
    assert blank_image(config, torch.device("cpu")).shape == (1, 4, *expected)


def test_a_single_process_does_not_exchange_gradients(model):
    assert not trains_with_other_processes(model.train())


# Run by both processes. The first always has images, the second has images in the last step only.
TRAIN = """
import sys
from datetime import timedelta
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel
from tests.modeling.conftest import tiny_inputs, tiny_model
from tests.examples.research.test_baselines import HVPNeTForRelationExtraction, MKGformerForRelationExtraction, make

folder, rank = sys.argv[1], int(sys.argv[2])
labels = torch.tensor([0, 1, 2, 3])
limit = timedelta(seconds=60)
distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2, timeout=limit)
for name, make_model, frozen, checkpointing in (
    ("plain", tiny_model, False, False),
    ("checkpointed", tiny_model, False, True),
    ("frozen", tiny_model, True, True),
    ("own layers", lambda: tiny_model(toi_share_text_encoder=False, matching_loss_weight=1.0), False, True),
    ("baseline", lambda: make(HVPNeTForRelationExtraction), True, True),
    ("trained vision", lambda: make(MKGformerForRelationExtraction), False, True),
):
    model = make_model().train()
    if frozen:
        model.freeze_vision_encoder()
    if checkpointing:
        model.activation_checkpointing_enable()
    parallel = DistributedDataParallel(model)  # with the arguments of `Trainer` under activation checkpointing
    for step in range(3):
        model.zero_grad()
        parallel(**tiny_inputs(seed=step, images=rank == 0 or step == 2), labels=labels).loss.backward()
        if step == 1:
            kept = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    if rank == 0:
        torch.save(kept, f"{folder}/{name}")
"""


@pytest.mark.slow
def test_two_processes_do_not_wait_for_each_other(tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", TRAIN, str(tmp_path), str(rank)], cwd=Path(__file__).parents[2], env=environment
        )
        for rank in (0, 1)
    ]
    try:
        assert [process.wait(timeout=240) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
    # The gradients of both processes are the mean of those that each would compute alone.
    options = {"own layers": {"toi_share_text_encoder": False, "matching_loss_weight": 1.0}}
    for name in ("plain", "checkpointed", "frozen", "own layers", "trained vision"):
        joint = name == "trained vision"
        model = make_baseline(MKGformerForRelationExtraction) if joint else tiny_model(**options.get(name, {}))
        model.train()
        if name == "frozen":
            model.freeze_vision_encoder()
        with_images, without = (gradients(model, tiny_inputs(seed=1, images=images)) for images in (True, False))
        kept = torch.load(tmp_path / name)
        assert kept.keys() == with_images.keys()
        for part, gradient in kept.items():
            other = torch.zeros_like(gradient) if without[part] is None else without[part]
            torch.testing.assert_close(gradient, (with_images[part] + other) / 2, msg=prefixed_with(part))

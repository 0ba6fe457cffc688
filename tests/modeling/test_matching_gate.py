import numpy as np
import pytest
import torch
from huggingface_hub.errors import StrictDataclassClassValidationError
from transformers import BertConfig, ViTConfig

from tgdi_hf import TGDIConfig, TGDIForRelationExtraction
from tgdi_hf.modeling.configuration_checks import SIMILARITY_FUNCTIONS
from tgdi_hf.modeling.matching_gate import MatchingGate, TextSelfAttention, gated_keys, matching_loss
from tgdi_hf.modeling.tgdi_inputs import Images

from .conftest import TEXT, VISION, tiny_config, tiny_inputs, tiny_model
from .test_visual_prompts import gelu, linear


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize("residual", [True, False])
def test_self_attention_is_equation_7(residual):
    torch.manual_seed(0)
    module = TextSelfAttention(tiny_config(self_attention_residual=residual))
    text, mask = torch.randn(2, 5, 32), torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    got = module(text, mask).detach().numpy()
    for row, length in enumerate((5, 3)):
        h = text[row].double().numpy()
        q, k, v = (h @ layer.weight.detach().double().numpy().T for layer in (module.query, module.key, module.value))
        expected = softmax(q @ k[:length].T / np.sqrt(32)) @ v[:length]
        if residual:
            total = h + expected
            expected = (total - total.mean(-1, keepdims=True)) / np.sqrt(total.var(-1, keepdims=True) + 1e-12)
        np.testing.assert_allclose(got[row], expected, atol=1e-5)


@pytest.mark.parametrize("function", SIMILARITY_FUNCTIONS)
def test_gate_is_equations_8_to_10(function):
    torch.manual_seed(0)
    module = MatchingGate(tiny_config(similarity_function=function))
    if function == "cosine":
        module.logit_scale.data.fill_(np.log(5))
    patches, text = torch.randn(2, 4, 24), torch.randn(3, 5, 32)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0]])
    index = torch.tensor([[0, 1], [1, 0], [0, 0]])
    exists = torch.tensor([[True, True], [True, False], [False, False]])
    found = module(Images(patches[:, None], patches, index, exists), text, mask)
    gate, similarity, cosine = (of.detach().numpy() for of in found)

    x = patches.double().numpy()
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    projected = linear(x, module.projection)
    for row, (images, length) in enumerate((([0, 1], 5), ([1], 3))):
        v, h = np.concatenate([projected[i] for i in images]), text[row, :length].double().numpy()
        cosines = (v / np.linalg.norm(v, axis=1, keepdims=True)) @ (h / np.linalg.norm(h, axis=1, keepdims=True)).T
        a = softmax({"dot": v @ h.T, "scaled_dot": v @ h.T / np.sqrt(32), "cosine": 5 * cosines}[function])  # Eq. 8
        c = a @ h  # Eq. 9
        m = np.concatenate([v, c, v * c], axis=1).mean(0)
        m = 1 / (1 + np.exp(-linear(gelu(linear(m, module.mlp[0])), module.mlp[2])))  # Eq. 10
        np.testing.assert_allclose(gate[row], m, atol=1e-5)
        np.testing.assert_allclose(similarity[row, : len(v), :length], a, atol=1e-5)
        np.testing.assert_allclose(cosine[row, : len(v), :length], cosines, atol=1e-5)
        for of in (similarity, cosine):
            assert (of[row, len(v) :] == 0).all()
            assert (of[row, :, length:] == 0).all()
    assert (gate[2] == 1).all()  # no image: the states pass unchanged


@pytest.mark.parametrize("function", SIMILARITY_FUNCTIONS)
def test_a_fresh_gate_has_its_initial_value_and_survives_saving(function, tmp_path):
    torch.manual_seed(0)
    model = TGDIForRelationExtraction(tiny_config(similarity_function=function, initial_gate=0.9))
    gate = model(**tiny_inputs()).matching_gate
    with_image = gate[(gate != 1).any(dim=1)]
    assert len(with_image)
    torch.testing.assert_close(with_image, torch.full_like(with_image, 0.9), atol=0.01, rtol=0)
    scale = model.tgdi.matching_gate.logit_scale
    assert (scale is None) == (function != "cosine")
    if scale is not None:
        assert scale.item() == pytest.approx(np.log(1 / 0.07))
        scale.data.fill_(1.5)
    model.save_pretrained(tmp_path)
    loaded = TGDIForRelationExtraction.from_pretrained(tmp_path)
    torch.testing.assert_close(loaded(**tiny_inputs()).logits, model.eval()(**tiny_inputs()).logits)
    if scale is not None:
        assert loaded.tgdi.matching_gate.logit_scale.item() == 1.5


@pytest.mark.parametrize("width", [64, 384, 768])
def test_fresh_similarities_are_neither_flat_nor_saturated(width):
    encoder = {"hidden_size": width, "num_hidden_layers": 1, "num_attention_heads": width // 32}
    text = BertConfig(**{**TEXT, **encoder, "intermediate_size": width})
    vision = ViTConfig(**{**VISION, **encoder, "intermediate_size": width})
    torch.manual_seed(0)
    config = TGDIConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), toi_num_layers=1)
    model = TGDIForRelationExtraction(config)
    model.eval()
    inputs = tiny_inputs()
    similarity = model(**inputs).similarity
    tokens = inputs["attention_mask"].sum(dim=1, keepdim=True)
    entropy = -torch.special.xlogy(similarity, similarity).sum(dim=-1) / tokens.log()  # (B, N)
    # Of the maximum, a row with equal weights; a row of an empty slot is zero.
    assert 0.3 < entropy[similarity.sum(dim=-1) > 0].mean() < 0.99


def test_weights_without_a_gate_get_a_fresh_one(tmp_path):
    TGDIForRelationExtraction(tiny_config(use_matching_gate=False)).save_pretrained(tmp_path)
    options = {"use_matching_gate": True, "similarity_function": "cosine", "initial_gate": 0.8}
    gate = TGDIForRelationExtraction.from_pretrained(tmp_path, **options).tgdi.matching_gate
    torch.testing.assert_close(gate.mlp[-1].bias, torch.full((32,), np.log(4.0), dtype=torch.float32))
    assert gate.logit_scale.item() == pytest.approx(np.log(1 / 0.07))


def test_the_scale_of_the_cosines_is_bounded():
    module = MatchingGate(tiny_config(similarity_function="cosine"))
    module.logit_scale.data.fill_(50.0)
    torch.testing.assert_close(module._scores(None, torch.tensor([0.5])), torch.tensor([50.0]))


def test_patches_without_a_direction_have_no_gradient():
    """The projection of a constant patch is zero as long as its bias is."""
    torch.manual_seed(0)
    module = MatchingGate(tiny_config())
    torch.nn.init.zeros_(module.projection.bias)
    torch.nn.init.constant_(module.logit_scale, 1.0)
    patches = torch.ones(1, 4, 24)
    images = Images(patches[:, None], patches, torch.tensor([[0]]), torch.tensor([[True]]))
    found = module(images, torch.randn(1, 5, 32), torch.ones(1, 5))
    assert (found.cosine == 0).all()
    found.gate.sum().backward()
    assert all(parameter.grad.abs().max() < 100 for parameter in module.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"similarity_function": "euclidean"}, "expected one of 'dot', 'scaled_dot', 'cosine'"),
        ({"initial_gate": 1.0}, "`initial_gate` is 1.0; expected a number between 0 and 1"),
        ({"initial_gate": 0}, "`initial_gate` is 0; expected a number between 0 and 1"),
    ],
)
def test_invalid_options_of_the_gate(options, message):
    with pytest.raises(StrictDataclassClassValidationError, match=message):
        tiny_config(**options)


def test_matching_loss_compares_with_the_preceding_post():
    # The posts have images 0, 1, 1, none, 2. The first follows the last (image 2), the second follows image 0. The
    # others do not count: the third follows its own image, the fourth has none, and the fifth follows a post without.
    index = torch.tensor([[0], [1], [1], [0], [2]])
    patches = torch.randn(3, 4, 6)
    images = Images(None, patches, index, torch.tensor([[True], [True], [True], [False], [True]]))
    own = torch.tensor([[0.8, 0.6], [0.9, 0.9], [0.1, 0.1], [1.0, 1.0], [0.2, 0.2]])
    other = torch.tensor([[0.2, 0.4], [0.5, 0.5], [0.9, 0.9], [0.9, 0.9], [0.9, 0.9]])
    expected = -((np.log(0.7) + np.log(1 - 0.3)) / 2 + (np.log(0.9) + np.log(1 - 0.5)) / 2) / 2
    assert matching_loss(own, other, images).item() == pytest.approx(expected, abs=1e-6)
    # The same images in a batch that does not share them, one per row.
    plain = Images(None, patches[index[:, 0]], torch.arange(5)[:, None], images.mask)
    assert matching_loss(own, other, plain).item() == pytest.approx(expected, abs=1e-6)
    alone = Images(None, patches, torch.tensor([[0]]), torch.tensor([[True]]))
    assert matching_loss(own[:1], other[:1], alone) == 0
    bf16 = matching_loss(own.bfloat16(), torch.ones_like(other).bfloat16(), images)
    assert torch.isfinite(bf16)
    assert bf16.dtype == torch.float32


def test_swapped_images_are_negative_examples():
    # Images 0 to 3; the third post has a swapped one, and the fifth has none.
    index, mask = torch.tensor([[0], [1], [2], [3], [0]]), torch.tensor([[1], [1], [1], [1], [0]]).bool()
    images = Images(None, torch.randn(4, 4, 6), index, mask)
    matches = torch.tensor([1, 1, 0, 1, 1])
    own = torch.tensor([[0.8, 0.6], [0.9, 0.9], [0.2, 0.3], [0.6, 0.6], [1.0, 1.0]])
    other = torch.tensor([[0.9, 0.9], [0.3, 0.5], [0.9, 0.9], [0.9, 0.9], [0.9, 0.9]])
    positive = (np.log(0.7) + np.log(0.9) + np.log(0.6)) / 3
    # The swapped post, and the second with the image of the first. The first follows a post without image, the third
    # is swapped itself, the fourth follows the swapped one: the third could show the fourth's image, or the reverse.
    negative = (np.log(1 - 0.25) + np.log(1 - 0.4)) / 2
    assert matching_loss(own, other, images, matches).item() == pytest.approx(-(positive + negative) / 2, abs=1e-6)
    rows_of_a_post = images._replace(index=torch.tensor([[0], [0], [2], [3], [0]]))
    negative = np.log(1 - 0.25)
    found = matching_loss(own, other, rows_of_a_post, matches)
    assert found.item() == pytest.approx(-(positive + negative) / 2, abs=1e-6)


@pytest.mark.parametrize("gate_only", [False, True])
def test_the_matching_loss_may_train_the_gate_alone(gate_only):
    model = tiny_model(matching_loss_weight=1.0, matching_loss_gate_only=gate_only).train()
    given, matches = tiny_inputs(), torch.tensor([1, 0, 1, 1])
    found = model.tgdi(**given, image_matches=matches).matching_loss
    expected = tiny_model(matching_loss_weight=1.0).train().tgdi(**given, image_matches=matches).matching_loss
    torch.testing.assert_close(found, expected)
    found.backward()
    trained = {name.split(".")[0] for name, one in model.tgdi.named_parameters() if one.grad is not None}
    assert trained == ({"matching_gate"} if gate_only else {"matching_gate", "text_encoder", "vision_tower",
                                                            "self_attention"})  # fmt: skip


def test_known_matches_change_the_loss_in_training_only():
    model, inputs = tiny_model(matching_loss_weight=2.0).train(), tiny_inputs()
    matches = torch.tensor([1, 0, 1, 1])
    known, unknown = (model.tgdi(**inputs, image_matches=given).matching_loss for given in (matches, None))
    assert not torch.isclose(known, unknown)
    model.eval()
    assert torch.equal(model(**inputs, image_matches=matches).logits, model(**inputs).logits)


@pytest.mark.parametrize(
    ("matches", "message"),
    [
        (torch.ones(3), r"`image_matches` is a tensor of shape \(3,\); expected a tensor of shape \(4,\)"),
        (torch.tensor([1, 2, 0, 1]), r"`image_matches` is \[1, 2, 0, 1\]; expected 1 or 0 per post"),
    ],
)
def test_invalid_matches_are_refused(matches, message):
    with pytest.raises(ValueError, match=message):
        tiny_model()(**tiny_inputs(), image_matches=matches)


def test_matching_loss_is_added_in_training_only():
    model, inputs = tiny_model(matching_loss_weight=2.0, classifier_dropout=0.0), tiny_inputs()
    inputs["labels"] = torch.tensor([0, 1, 2, -100])
    scored = model(**inputs).loss  # in evaluation mode
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    mismatch = model.tgdi(**{name: value for name, value in inputs.items() if name != "labels"}).matching_loss
    assert mismatch > 0
    torch.testing.assert_close(model(**inputs).loss, scored + 2 * mismatch)
    # 3 of the 6 labelled rows of an accumulated step.
    halved = model(**inputs, num_items_in_batch=torch.tensor(6)).loss
    torch.testing.assert_close(halved, (scored + 2 * mismatch) / 2)
    mismatch.backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.tgdi.matching_gate.mlp.parameters())
    without = {name: value for name, value in inputs.items() if name not in ("pixel_values", "image_mask", "labels")}
    assert model.tgdi(**without).matching_loss is None


@pytest.mark.parametrize("options", [{"matching_loss_weight": -1}, {"use_matching_gate": False}])
def test_the_matching_loss_requires_a_gate(options):
    with pytest.raises(StrictDataclassClassValidationError, match="`matching_loss_weight` is"):
        tiny_config(**{"matching_loss_weight": 1.0, **options})


def test_a_closed_gate_removes_the_prompts_from_the_values():
    inputs = tiny_inputs()
    model = tiny_model(gate_visual_prompts=True)
    paper = tiny_model()
    paper.load_state_dict(model.state_dict())
    assert not torch.allclose(model(**inputs).logits, paper(**inputs).logits, atol=1e-4)
    last = model.tgdi.matching_gate.mlp[2]
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.constant_(last.bias, -100.0)  # m = 0
    layers = len(model.tgdi.text_encoder.encoder.layer)
    closed = model(**inputs, output_hidden_states=True).cross_modal_hidden_states
    # Zero values at the prompts; their keys still receive attention.
    for projection in model.tgdi.visual_prompts.prefix.layers:
        projection.weight.data[32:] = 0
        projection.bias.data[32:] = 0
    torch.nn.init.constant_(last.bias, 100.0)  # m = 1
    torch.testing.assert_close(model(**inputs, output_hidden_states=True).cross_modal_hidden_states, closed)
    assert len(closed) == layers + 1
    bare = {name: value for name, value in inputs.items() if name not in ("pixel_values", "image_mask")}
    torch.testing.assert_close(model(**bare).logits, paper(**bare).logits)


@pytest.mark.parametrize("option", ["use_matching_gate", "use_visual_prompts"])
def test_gated_prompts_require_a_gate_and_prompts(option):
    with pytest.raises(StrictDataclassClassValidationError, match="`gate_visual_prompts=True` requires"):
        tiny_config(gate_visual_prompts=True, **{option: False})


def test_keys_that_stem_from_images_have_the_odds_of_the_gate():
    gate = torch.tensor([[0.1, 0.3], [0.4, 0.6], [1.0, 1.0]])
    prompts, text = torch.ones(3, 1), torch.tensor([[1, 1, 0], [1, 1, 0], [1, 1, 1]])
    enhanced = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 0]])  # captions of two tokens; none
    # 0.2 / 0.8; undecided; no image
    expected = torch.tensor([[0.25, 1.0, 1.0, 0.25, 0.25], [1.0, 1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0, 1.0]])
    torch.testing.assert_close(gated_keys(gate, prompts, text, enhanced), expected)
    torch.testing.assert_close(gated_keys(gate, None, text, enhanced), expected[:, 1:])


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_a_closed_gate_removes_image_and_caption_from_the_attention(implementation):
    inputs = tiny_inputs()
    model = tiny_model(gate_attention=True)
    model.set_attn_implementation(implementation)
    paper = tiny_model()
    paper.load_state_dict(model.state_dict())
    assert not torch.allclose(model(**inputs).logits, paper(**inputs).logits, atol=1e-4)
    last = model.tgdi.matching_gate.mlp[2]
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.constant_(last.bias, -100.0)  # m = 0
    f_1 = model.tgdi(**inputs).cross_modal_last_hidden_state
    text = {name: inputs[name] for name in ("input_ids", "attention_mask", "token_type_ids")}
    plain = model.tgdi.text_encoder(**text).last_hidden_state
    for row in range(3):  # the fourth has no image, and reads its caption
        length = int(inputs["attention_mask"][row].sum())
        torch.testing.assert_close(f_1[row, :length], plain[row, :length], atol=2e-4, rtol=1e-3)
    torch.nn.init.constant_(last.bias, 100.0)  # m = 1
    paper.load_state_dict(model.state_dict())
    torch.testing.assert_close(model(**inputs).logits, paper(**inputs).logits)
    bare = {name: value for name, value in inputs.items() if name not in ("pixel_values", "image_mask")}
    torch.testing.assert_close(model(**bare).logits, paper(**bare).logits)


def test_a_gated_attention_requires_a_gate():
    with pytest.raises(StrictDataclassClassValidationError, match="`gate_attention=True` requires the gate"):
        tiny_config(gate_attention=True, use_matching_gate=False)

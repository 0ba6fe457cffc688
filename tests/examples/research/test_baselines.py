"""The baselines of `examples/research/baselines`."""

import pytest
import torch
from datasets import DatasetDict
from huggingface_hub.errors import StrictDataclassClassValidationError
from transformers import AutoModel, ResNetConfig

from examples.research.baselines import (
    BASELINES,
    BaselineConfig,
    BertObjectsAttentionForRelationExtraction,
    BertObjectsForRelationExtraction,
    ConvolutionConfig,
    ConvolutionForRelationExtraction,
    HVPNeTForRelationExtraction,
    IFAformerForRelationExtraction,
    MEGAForRelationExtraction,
    MKGformerForRelationExtraction,
    MTBForRelationExtraction,
    UMGFForRelationExtraction,
    UMTForRelationExtraction,
    VisualBERTForRelationExtraction,
    build_baseline,
)
from tgdi_hf import TGDIProcessor
from tgdi_hf.data.dataset_columns import undecoded
from tgdi_hf.demo.demo import TEXT_ONLY
from tgdi_hf.modeling.branch_consistency import branch_divergence
from tgdi_hf.training.recipe import training_arguments
from tgdi_hf.training.trainer import make_trainer

from ...modeling.conftest import TEXT_CONFIGS, VISION_CONFIGS, tiny_inputs, tiny_model

VISUAL = [
    VisualBERTForRelationExtraction,
    HVPNeTForRelationExtraction,
    IFAformerForRelationExtraction,
    MKGformerForRelationExtraction,
]
PARTIAL = [  # read either whole images or objects
    UMTForRelationExtraction,
    UMGFForRelationExtraction,
    BertObjectsForRelationExtraction,
    BertObjectsAttentionForRelationExtraction,
    MEGAForRelationExtraction,
]
RESNET = ResNetConfig(embedding_size=8, hidden_sizes=[8, 12, 16, 24], depths=[1, 1, 1, 1])


def make(model_class, vision="clip_vision_model", **options):
    torch.manual_seed(0)
    vision = RESNET if vision == "resnet" else VISION_CONFIGS[vision]
    options = {"num_labels": 5, "classifier_dropout": 0.0, "num_fusion_layers": 2, "use_caption": True, **options}
    text = TEXT_CONFIGS["bert"].to_dict()
    model = model_class(model_class.config_class(text_config=text, vision_config=vision.to_dict(), **options))
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1 and not name.startswith("vision_tower"):
            torch.nn.init.normal_(parameter, std=0.15)
    return model.eval()


def inputs_for(model, **options):
    """`tiny_inputs`, without those that the model refuses."""
    inputs = tiny_inputs(**options)
    if not getattr(model.config, "use_caption", False):
        inputs = {name: value for name, value in inputs.items() if not name.startswith("enhanced_")}
    sees = getattr(model.config, "use_vision", False)
    if "image_mask" in inputs and not (sees and model.reads_image):
        inputs["image_mask"][:, 0] = 0
    if "image_mask" in inputs and not (sees and model.reads_objects):
        inputs["image_mask"][:, 1:] = 0
    if "image_mask" in inputs and "structure" in getattr(model, "own_inputs", ()):
        tokens = inputs.get("enhanced_attention_mask", inputs["attention_mask"])
        shape = len(tokens), inputs["image_mask"].shape[1] - 1, tokens.shape[1]
        inputs["structure"] = torch.rand(shape, generator=torch.Generator().manual_seed(2)) * tokens[:, None]
    return inputs


def make_convolution(**options):
    torch.manual_seed(0)
    config = dict(vocab_size=120, word_size=6, position_size=2, num_filters=4, max_distance=5, num_labels=5)
    return ConvolutionForRelationExtraction(ConvolutionConfig(**config, **options)).eval()


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(lambda: make(MTBForRelationExtraction, use_vision=False), id="mtb"),
        *[pytest.param(lambda of=of: make(of), id=of.__name__) for of in VISUAL],
        pytest.param(lambda: make(HVPNeTForRelationExtraction, "resnet"), id="resnet"),
        *[pytest.param(lambda of=of: make(of), id=of.__name__) for of in PARTIAL],
        pytest.param(lambda: make(UMTForRelationExtraction, "resnet"), id="UMT with a resnet"),
        pytest.param(lambda: make(UMGFForRelationExtraction, "resnet"), id="UMGF with a resnet"),
        pytest.param(lambda: make(HVPNeTForRelationExtraction, "dinov3_vit"), id="register tokens"),
        pytest.param(make_convolution, id="cnn"),
        pytest.param(lambda: make_convolution(piecewise=True), id="pcnn"),
    ],
)
def test_shapes_gradients_and_saving(model, tmp_path):
    model = model()
    labels = torch.tensor([0, 1, 2, 4])
    outputs = model(**inputs_for(model), labels=labels)
    assert outputs.logits.shape == (4, 5)
    assert torch.allclose(outputs.loss, torch.nn.functional.cross_entropy(outputs.logits, labels))
    outputs.loss.backward()
    unused = ("mask_token", "vision_tower.pooler", "embeddings.cls_token")
    # A bias of keys shifts all scores of a query alike; the others, and every weight, have a gradient that is not zero.
    flat = ("key.bias", "k_proj.bias", "in_proj_bias", "position_embeddings", "token_type_embeddings", "positions.")
    names = {n: p for n, p in model.named_parameters() if p.requires_grad and not any(u in n for u in unused)}
    assert [n for n, p in names.items() if p.grad is None] == []
    assert [n for n, p in names.items() if not p.grad.any() and not any(f in n for f in flat)] == []
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path).eval()
    assert torch.equal(again(**inputs_for(model)).logits, outputs.logits)


@pytest.mark.parametrize("model_class", VISUAL)
def test_images_affect_only_rows_that_have_one(model_class):
    model, inputs = make(model_class), tiny_inputs()
    logits = model(**inputs).logits
    there = inputs["image_mask"].bool()
    changed = inputs["pixel_values"].clone()
    changed[~there] = torch.randn_like(changed[~there])
    assert torch.equal(model(**{**inputs, "pixel_values": changed}).logits, logits)
    changed[there] = torch.randn_like(changed[there])
    difference = (model(**{**inputs, "pixel_values": changed}).logits - logits).abs().amax(dim=1)
    assert (difference > 1e-5).tolist() == there.any(dim=1).tolist()
    # A row without images is the row as it is in a batch without any.
    without = {name: value for name, value in inputs.items() if name not in ("pixel_values", "image_mask")}
    assert torch.allclose(model(**without).logits[-1], logits[-1], atol=1e-5)


@pytest.mark.parametrize("model_class", VISUAL)
def test_shared_images_give_the_same_logits(model_class):
    model, inputs = make(model_class), tiny_inputs()
    shared = {**inputs, "pixel_values": inputs["pixel_values"].flatten(0, 1)}
    shared["image_index"] = torch.arange(len(shared["pixel_values"])).view(inputs["image_mask"].shape)
    assert torch.allclose(model(**shared).logits, model(**inputs).logits, atol=1e-6)


def test_mtb_equals_tgdi_without_its_mechanisms():
    switches = {name: value for name, value in TEXT_ONLY.items() if name != "use_caption"}
    tgdi, mtb = tiny_model(**switches), make(MTBForRelationExtraction, use_vision=False)
    mtb.text_encoder.load_state_dict(tgdi.tgdi.text_encoder.state_dict())
    mtb.classifier.load_state_dict(tgdi.classifier.state_dict())
    inputs = tiny_inputs(images=False)
    assert torch.allclose(mtb(**inputs).logits, tgdi(**inputs).logits, atol=1e-6)


def test_options_of_tgdi_are_refused():
    for options, message in (
        ({"r_drop_weight": -1.0}, "`r_drop_weight` is -1.0; expected 0 or more"),
        ({"r_drop_weight": float("nan")}, "`r_drop_weight` is nan; expected 0 or more"),
    ):
        with pytest.raises(StrictDataclassClassValidationError, match=message):
            make(MTBForRelationExtraction, **options)
    for name in ("fusion_lambda", "branch_consistency_weight"):
        with pytest.raises(ValueError, match=f"BaselineConfig has no field '{name}'"):
            make(MTBForRelationExtraction, **{name: 0.1})
    for model_class in (
        VisualBERTForRelationExtraction,
        IFAformerForRelationExtraction,
        MKGformerForRelationExtraction,
    ):
        with pytest.raises(ValueError, match="reads the patches of a vision transformer; `vision_config` is a ResNet"):
            make(model_class, "resnet")


def test_unknown_names_and_unfit_encoders_are_refused():
    with pytest.raises(ValueError, match="Unknown baseline 'bert'; expected one of cnn, pcnn, mtb"):
        build_baseline("bert", ["None", "a"], "text", "vision")
    with pytest.raises(ValueError, match="'mtb' reads no objects, but `num_objects` is 3; omit it"):
        build_baseline("mtb", ["None", "a"], "text", "vision", num_objects=3)
    with pytest.raises(ValueError, match="MTBForRelationExtraction reads no images; configure it with `use_vision=F"):
        make(MTBForRelationExtraction)
    with pytest.raises(ValueError, match="'mtb' starts from the word embeddings of its text model; omit `glove`"):
        build_baseline("mtb", ["None", "a"], "text", "vision", glove="glove.txt")
    with pytest.raises(ValueError, match="pass `glove` or `texts`"):
        build_baseline("cnn", ["None", "a"], "text", "vision")
    roberta, vit = TEXT_CONFIGS["roberta"].to_dict(), VISION_CONFIGS["vit"].to_dict()
    with pytest.raises(ValueError, match="`text_config` is of type 'roberta'"):
        VisualBERTForRelationExtraction(BaselineConfig(text_config=roberta, vision_config=vit, num_labels=5))


def with_boxes(rows):
    """Two overlapping objects on every image."""
    objects = [[] if row["image"] is None else [[4, 4, 30, 30], [20, 20, 60, 60]] for row in undecoded(rows)]
    return rows.remove_columns("objects").add_column("objects", objects, feature=rows.features["objects"])


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_trains_with_the_shared_tools(name, encoders, corpus, tmp_path):
    names = corpus["train"].features["label"].names
    options = {} if "cnn" in name else {"num_fusion_layers": 2}
    model, processor = build_baseline(name, names, *encoders, texts=corpus["train"]["text"], **options)
    assert isinstance(processor, TGDIProcessor) and processor.use_caption == (name == "mtb-caption")
    sees = getattr(model.config, "use_vision", False)
    assert processor.use_image == (sees and model.reads_image)
    assert processor.num_objects == getattr(model.config, "num_objects", 0)
    if "cnn" not in name:
        trained = AutoModel.from_pretrained(encoders[0]).state_dict()
        key = "encoder.layer.2.output.dense.weight"
        assert torch.equal(model.text_encoder.state_dict()[key], trained[key])
    arguments = training_arguments(
        tmp_path, max_steps=2, per_device_train_batch_size=4, dataloader_num_workers=0, eval_strategy="steps",
        eval_steps=2, save_strategy="steps", save_steps=2, report_to="none",
    )  # fmt: skip
    before = {key: value.clone() for key, value in model.state_dict().items()}
    if not getattr(model, "reads_image", True) and sees:
        corpus = DatasetDict({split: with_boxes(rows) for split, rows in corpus.items()})
    trainer = make_trainer(model, processor, corpus, arguments)
    trainer.train()
    assert 0 <= trainer.evaluate()["eval_f1"] <= 1
    frozen = [key for key in before if torch.equal(before[key], model.state_dict()[key])]
    assert all("vision_tower" in key or "position" in key for key in frozen)


def test_r_drop_adds_the_divergence_of_two_passes():
    inputs, labels = tiny_inputs(images=False), torch.tensor([0, 1, 2, -100])
    model = make(MTBForRelationExtraction, use_vision=False, r_drop_weight=3.0)
    passes = []
    model.text_encoder.register_forward_hook(lambda *args: passes.append(1))
    scored = model(**inputs, labels=labels).loss
    assert len(passes) == 1
    # Without dropout both passes are one and the same.
    torch.testing.assert_close(model.train()(**inputs, labels=labels).loss, scored)
    assert len(passes) == 3
    model.dropout.p = 0.5
    torch.manual_seed(0)
    one, other = (model(**inputs).logits for _ in range(2))
    torch.manual_seed(0)
    loss = model(**inputs, labels=labels).loss
    expected = sum(torch.nn.functional.cross_entropy(logits, labels) for logits in (one, other)) / 2
    torch.testing.assert_close(loss, expected + 3 * branch_divergence(one, other, labels))
    torch.manual_seed(0)
    halved = model(**inputs, labels=labels, num_items_in_batch=torch.tensor(6)).loss
    torch.testing.assert_close(halved, loss / 2)


EVERY = [
    pytest.param(lambda: make(MTBForRelationExtraction, use_vision=False), id="mtb"),
    *[pytest.param(lambda of=of: make(of), id=of.__name__) for of in (*VISUAL, *PARTIAL)],
    pytest.param(make_convolution, id="cnn"),
]


@pytest.mark.parametrize("model", EVERY)
def test_unused_arguments_are_refused(model):
    model = model()
    inputs = inputs_for(model)
    logits = model(**inputs).logits
    features = {name: value for name, value in inputs.items() if name != "pixel_values"}
    with pytest.raises(ValueError, match=r"got `vision_features`; no baseline reads them.*Pass `pixel_values`"):
        model(**features, vision_features=torch.zeros(4, 3, 19, 24))
    for name, value, hint in (
        ("pixel_value", inputs["pixel_values"], "did you mean `pixel_values`"),
        ("inputs_embeds", torch.zeros(4, 9, 32), "expected one of"),
        ("output_attentions", True, "expected one of"),
        ("output_hidden_states", True, "expected one of"),
        ("label", torch.zeros(4, dtype=torch.long), "did you mean `labels`"),
    ):
        with pytest.raises(TypeError, match=rf"forward got an unexpected argument `{name}`; {hint}"):
            model(**inputs, **{name: value})
    # What asks for nothing, as peft passes it, and what `Trainer` passes.
    unasked = {"inputs_embeds": None, "output_attentions": False, "output_hidden_states": None}
    assert torch.equal(model(**inputs, **unasked).logits, logits)
    labels = torch.tensor([0, 1, 2, 3])
    loss, as_tuple = model(**inputs, labels=labels, num_items_in_batch=8, return_dict=False)[:2]
    assert torch.equal(as_tuple, logits)
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(logits, labels) / 2)


@pytest.mark.parametrize("model", EVERY)
def test_captions_are_refused_unless_configured(model):
    model = model()
    inputs = {**tiny_inputs(), **inputs_for(model)}
    if not isinstance(model, ConvolutionForRelationExtraction):
        with_caption = model(**inputs).logits
        model.config.use_caption = False
        assert not torch.equal(model(**inputs_for(model)).logits, with_caption)
    with pytest.raises(ValueError, match=f"{type(model).__name__} got `enhanced_input_ids`.*`use_caption=False`"):
        model(**inputs)


@pytest.mark.parametrize("model", [EVERY[0], EVERY[-1]])
def test_text_models_refuse_images(model):
    model, images = model(), tiny_inputs()
    inputs = inputs_for(model)  # with pixels that no post uses
    assert torch.equal(model(**inputs).logits, model(**inputs_for(model, images=False)).logits)
    shared = {"pixel_values": images["pixel_values"][:, 0], "image_index": torch.zeros(4, 1, dtype=torch.long)}
    for given in ({"image_mask": images["image_mask"]}, {"image_mask": None}, {**shared, "image_mask": None}):
        with pytest.raises(ValueError, match=r"got images, but reads none.*`use_image=False` and `num_objects=0`"):
            model(**{**inputs, **given})


@pytest.mark.parametrize("model_class", VISUAL)
def test_images_without_mask_all_count(model_class):
    model, inputs = make(model_class), tiny_inputs()
    whole = {**inputs, "image_mask": torch.ones_like(inputs["image_mask"])}
    assert torch.equal(model(**{**inputs, "image_mask": None}).logits, model(**whole).logits)
    for name in ("image_mask", "image_index"):
        announced = {**tiny_inputs(images=False), name: torch.ones(4, 1, dtype=torch.long)}
        with pytest.raises(ValueError, match="`image_mask` or `image_index` was passed without `pixel_values`"):
            model(**announced)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("model_class", [MTBForRelationExtraction, *VISUAL])
def test_traced_baseline_accepts_any_batch_size(model_class):
    model = make(model_class, use_vision=model_class in VISUAL)

    def inputs_of(batch, length=9):
        return tiny_inputs(batch=batch, length=length, images=model_class in VISUAL)

    class Positional(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, *tensors):
            return self.model(**dict(zip(inputs_of(1), tensors)))[0]

    traced = torch.jit.trace(Positional(), tuple(inputs_of(1).values()), check_trace=False)
    for batch, length in ((1, 9), (4, 9), (3, 12)):
        inputs = inputs_of(batch, length)
        torch.testing.assert_close(traced(*inputs.values()), model(**inputs).logits, atol=1e-5, rtol=0)

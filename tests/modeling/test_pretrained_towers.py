import pytest
import torch
from tokenizers import Tokenizer, models
from transformers import (
    BertModel,
    CLIPConfig,
    CLIPModel,
    CLIPVisionModel,
    Dinov2Model,
    PreTrainedTokenizerFast,
    RobertaModel,
)

from tgdi_hf import TGDIForRelationExtraction
from tgdi_hf.modeling.configuration_tgdi import ENTITY_MARKERS

from .conftest import TEXT_CONFIGS, VISION_CONFIGS, VOCABULARY, tiny_inputs, tiny_model


def save(model_class, config, folder, seed=0):
    torch.manual_seed(seed)
    model = model_class(config).eval()
    model.save_pretrained(folder)
    return model


def tokenizer(*extra):
    vocabulary = {token: i for i, token in enumerate([*(f"t{i}" for i in range(VOCABULARY)), *extra])}
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel(vocabulary, unk_token="t0")))


def from_folders(folder, **options):
    return TGDIForRelationExtraction.from_text_vision_pretrained(
        folder / "text", folder / "vision", tokenizer(*ENTITY_MARKERS), **options
    )


@pytest.fixture
def folders(tmp_path):
    save(BertModel, TEXT_CONFIGS["bert"], tmp_path / "text")
    save(CLIPVisionModel, VISION_CONFIGS["clip_vision_model"], tmp_path / "vision")
    return tmp_path


def test_weights_of_both_encoders_are_loaded(tmp_path):
    text = save(BertModel, TEXT_CONFIGS["bert"], tmp_path / "text")
    vision = save(Dinov2Model, VISION_CONFIGS["dinov2"], tmp_path / "vision")
    torch.manual_seed(0)
    model = TGDIForRelationExtraction.from_text_vision_pretrained(
        tmp_path / "text",
        tmp_path / "vision",
        tokenizer(*ENTITY_MARKERS),
        num_labels=7,
        toi_num_layers=2,
        toi_share_text_encoder=False,
    )
    assert model.config.num_labels == 7
    assert not model.training
    kept = model.tgdi.text_encoder.state_dict()
    for name, value in text.state_dict().items():
        if name.startswith("pooler"):
            assert name not in kept
        elif name == "embeddings.word_embeddings.weight":
            assert torch.equal(kept[name][:VOCABULARY], value)
            assert len(kept[name]) == VOCABULARY + 4
        else:
            assert torch.equal(kept[name], value), name
    kept = model.tgdi.vision_tower.state_dict()
    assert all(
        torch.equal(kept[name], v) for name, v in vision.state_dict().items() if not name.startswith("layernorm")
    )
    for i, layer in enumerate(model.tgdi.text_oriented.layers):
        source = text.encoder.layer[i + 1].state_dict()
        assert all(torch.equal(value, source[name]) for name, value in layer.state_dict().items())
    model.save_pretrained(tmp_path / "both")
    again = TGDIForRelationExtraction.from_pretrained(tmp_path / "both")
    inputs = tiny_inputs()
    assert torch.equal(again(**inputs).logits, model(**inputs).logits)


def test_the_vision_encoder_of_a_clip_checkpoint_is_loaded(tmp_path):
    """`openai/clip-vit-base-patch32` contains both encoders of CLIP."""
    save(RobertaModel, TEXT_CONFIGS["roberta"], tmp_path / "text")
    config = CLIPConfig(
        vision_config=VISION_CONFIGS["clip_vision_model"].to_dict(),
        text_config={
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 16,
            "vocab_size": 30,
        },
    )
    save(CLIPModel, config, tmp_path / "clip")
    model = TGDIForRelationExtraction.from_text_vision_pretrained(
        tmp_path / "text", tmp_path / "clip", tokenizer(*ENTITY_MARKERS), num_labels=3
    )
    assert model.config.vision_config.model_type == "clip_vision_model"
    alone = CLIPVisionModel.from_pretrained(tmp_path / "clip").eval()
    pixels = torch.randn(2, 3, 32, 32)
    expected = alone(pixels, output_hidden_states=True).hidden_states
    got = model.tgdi.vision_tower(pixels, output_hidden_states=True).hidden_states
    assert len(got) == len(expected) == 3
    assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))


def test_a_tokenizer_without_entity_markers_is_rejected(folders, tmp_path):
    with pytest.raises(ValueError, match=r"lacks the entity markers </head>, <tail>, </tail>.*TGDIProcessor"):
        TGDIForRelationExtraction.from_text_vision_pretrained(
            tmp_path / "text", tmp_path / "vision", tokenizer("<head>"), num_labels=3
        )


def test_new_marker_embeddings_differ_as_much_as_words(folders):
    weight = from_folders(folders, num_labels=3).get_input_embeddings().weight
    words, markers = weight[:VOCABULARY], weight[VOCABULARY:]
    distance = torch.cdist(words, words)[~torch.eye(VOCABULARY, dtype=torch.bool)].mean()
    apart = torch.cdist(markers, markers)[~torch.eye(4, dtype=torch.bool)]
    assert apart.min() > 0.5 * distance
    assert apart.max() < 2 * distance


@pytest.mark.parametrize("dtype", [torch.bfloat16, "bfloat16"])
def test_shared_options_apply_to_both_encoders(folders, dtype):
    model = from_folders(folders, num_labels=3, dtype=dtype, attn_implementation="eager")
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    for part in (model, model.tgdi.text_encoder, model.tgdi.vision_tower):
        assert part.config._attn_implementation == "eager"
    with pytest.raises(ValueError, match=r"`text_kwargs` has attn_implementation, dtype.*in common"):
        from_folders(folders, text_kwargs={"dtype": torch.float32, "attn_implementation": "eager"})
    with pytest.raises(ValueError, match="`dtype` is 'auto'; expected the dtype of both encoders"):
        from_folders(folders, dtype="auto")
    with pytest.raises(ValueError, match="no field 'num_label'; did you mean 'num_labels'"):
        from_folders(folders, num_label=3)


def test_a_checkpoint_with_missing_weights_is_rejected(tmp_path):
    config = TEXT_CONFIGS["bert"]
    save(BertModel, config, tmp_path / "text")
    save(CLIPVisionModel, VISION_CONFIGS["clip_vision_model"], tmp_path / "vision")
    deeper = type(config)(**{**config.to_dict(), "num_hidden_layers": 4})
    deeper.save_pretrained(tmp_path / "text")  # the configuration now has one layer more than the weights
    with pytest.raises(ValueError, match=r"lacks \d+ weights of a BertModel.*encoder\.layer\.3"):
        from_folders(tmp_path, num_labels=3)


@pytest.mark.parametrize("vision", ["dinov2", "dinov3_vit"])
def test_the_mask_token_is_never_trained(vision, tmp_path):
    model = tiny_model(vision=vision)
    model.save_pretrained(tmp_path)
    # `from_pretrained` makes every parameter trainable, and processes that train together wait for each gradient.
    for each in (model, TGDIForRelationExtraction.from_pretrained(tmp_path)):
        trained = {name for name, parameter in each.named_parameters() if parameter.requires_grad}
        assert "tgdi.vision_tower.embeddings.cls_token" in trained
        assert "tgdi.vision_tower.embeddings.mask_token" not in trained

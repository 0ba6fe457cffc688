"""VisualBERT: its visual tokens, and the checkpoints that it starts from."""

import logging

import pytest
import torch
from huggingface_hub.errors import StrictDataclassClassValidationError
from transformers import AutoModel, AutoTokenizer, VisualBertConfig, VisualBertForPreTraining

from examples.research.baselines import VisualBERTForRelationExtraction, build_baseline
from tgdi_hf.training.recipe import training_arguments
from tgdi_hf.training.trainer import make_trainer

from ...modeling.conftest import TEXT
from .posts import assert_equal_one_by_one, assert_every_image_counts, assert_padding_does_not_matter, posts
from .test_baselines import make

NAMES = ["None", "/per/per/peer", "/per/org/member_of"]
PROJECTION = "embeddings.visual_projection.weight"


def test_every_patch_is_a_visual_token():
    model, inputs = make(VisualBERTForRelationExtraction), posts()
    seen = []
    model.text_encoder.register_forward_pre_hook(lambda module, args, kwargs: seen.append(kwargs), with_kwargs=True)
    model(**inputs)
    assert seen[0]["visual_embeds"].shape == (4, 3 * 16, 24)  # three images of 4 × 4 patches
    assert seen[0]["visual_attention_mask"].sum(dim=1).tolist() == (16 * inputs["image_mask"].sum(dim=1)).tolist()


def test_rows_padding_and_images():
    model = make(VisualBERTForRelationExtraction)
    assert_equal_one_by_one(model)
    assert_padding_does_not_matter(model)
    assert_every_image_counts(model)


def test_visual_embeddings_start_as_those_of_the_text(encoders):
    model, _ = build_baseline("visualbert", NAMES, *encoders)
    text = AutoModel.from_pretrained(encoders[0]).state_dict()
    found = model.text_encoder.state_dict()
    for name in ("token_type_embeddings.weight", "position_embeddings.weight"):
        assert torch.equal(found[f"embeddings.visual_{name}"], text[f"embeddings.{name}"])


def pretrained(folder, encoders, **options):
    """A folder with a VisualBERT as its pre-training leaves it, and the tokenizer."""
    torch.manual_seed(1)
    model = VisualBertForPreTraining(VisualBertConfig(**TEXT, **options))
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(encoders[0]).save_pretrained(folder)
    return model.visual_bert.state_dict()


@pytest.mark.parametrize("width", [24, 40])
def test_weights_of_a_visual_bert_are_kept(width, encoders, corpus, tmp_path, caplog):
    weights = pretrained(tmp_path / "visualbert", encoders, visual_embedding_dim=width)
    with caplog.at_level(logging.WARNING, "examples"):
        model, processor = build_baseline("visualbert", NAMES, str(tmp_path / "visualbert"), encoders[1])
    found, fits = model.text_encoder.state_dict(), width == 24  # the vision encoder's width
    assert ("reads 40 channels, and the vision encoder has 24: it starts from random weights" in caplog.text) == (
        not fits
    )
    compared = {name: value for name, value in weights.items() if not name.startswith("pooler")}
    words = compared.pop("embeddings.word_embeddings.weight")
    assert torch.equal(found["embeddings.word_embeddings.weight"][: len(words)], words)
    if not fits:
        compared = {name: value for name, value in compared.items() if "visual_projection" not in name}
        assert found[PROJECTION].shape == (32, 24) and found[PROJECTION].any()
    assert any("visual_position" in name for name in compared)
    assert [name for name, value in compared.items() if not torch.equal(found[name], value)] == []
    assert model.config.text_config.model_type == "bert"
    model.save_pretrained(tmp_path / "saved")
    again = VisualBERTForRelationExtraction.from_pretrained(tmp_path / "saved").eval()
    inputs = processor(text="Ann meets Bob", head=(0, 3), tail=(10, 13), return_tensors="pt")
    assert torch.equal(again(**inputs).logits, model(**inputs).logits)


def test_a_pretrained_visual_bert_trains(encoders, corpus, tmp_path):
    pretrained(tmp_path / "visualbert", encoders, visual_embedding_dim=24)
    names = corpus["train"].features["label"].names
    model, processor = build_baseline("visualbert", names, str(tmp_path / "visualbert"), encoders[1])
    arguments = training_arguments(
        tmp_path / "run", max_steps=2, per_device_train_batch_size=4, dataloader_num_workers=0, eval_strategy="no",
        save_strategy="no", load_best_model_at_end=False, report_to="none",
    )  # fmt: skip
    before = model.text_encoder.state_dict()[PROJECTION].clone()
    make_trainer(model, processor, corpus, arguments).train()
    assert not torch.equal(model.text_encoder.state_dict()[PROJECTION], before)


def test_unusable_checkpoints_are_refused(encoders, tmp_path):
    pretrained(tmp_path, encoders, visual_embedding_dim=24, bypass_transformer=True)
    with pytest.raises(ValueError, match="has `bypass_transformer=True`: its images bypass all layers but one"):
        build_baseline("visualbert", NAMES, str(tmp_path), encoders[1])
    for file in tmp_path.glob("*token*"):
        file.unlink()
    with pytest.raises(ValueError, match="has no vocabulary, only special tokens: the files of its tokenizer are miss"):
        build_baseline("visualbert", NAMES, str(tmp_path), encoders[1])
    pretrained(tmp_path, encoders, visual_embedding_dim=24)
    with pytest.raises(StrictDataclassClassValidationError, match="`text_config` is of type 'visual_bert'"):
        build_baseline("mtb", NAMES, str(tmp_path), encoders[1])

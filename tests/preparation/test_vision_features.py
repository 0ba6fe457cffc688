import copy
import io

import pytest
import torch
from datasets import Dataset, DatasetDict
from datasets import Image as ImageFeature
from PIL import Image
from transformers import CLIPImageProcessorPil, set_seed

from tgdi_hf import TGDICollator, TGDIProcessor, undecoded
from tgdi_hf.demo.tiny_model import tiny_tgdi
from tgdi_hf.preparation.vision_feature_store import VisionFeatures
from tgdi_hf.preparation.vision_features import compute_vision_features
from tgdi_hf.training.fine_tuning import fine_tune
from tgdi_hf.training.recipe import training_arguments
from tgdi_hf.training.trainer import make_trainer

from .vision_helpers import TEXT, compute, differences


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float16", 1e-2), ("bfloat16", 5e-2)])
def test_stored_features_give_the_same_logits_as_pixels(
    frozen, processor, images, tmp_path, dtype, tolerance, capsys, monkeypatch
):
    monkeypatch.setattr(processor, "num_objects", 3)
    frozen.config.num_objects = 3
    features = compute(frozen, processor, images, tmp_path / "features", dtype)
    assert len(features) == 4  # two images, two boxes
    assert differences(frozen, processor, images, features) < tolerance
    # The size is printed in advance: 4 rows of (3 + 64) × 64 numbers.
    size = 67 * 64 * (4 if dtype == "float32" else 2)
    assert f"4 images and parts × {size:,} bytes" in capsys.readouterr().err
    assert (tmp_path / "features" / "features.bin").stat().st_size == 4 * size


def test_features_can_be_repeated_per_row(frozen, processor, images, tmp_path):
    features = compute(frozen, processor, images, tmp_path / "features")
    rows = list(undecoded(images["train"]))
    shared = TGDICollator(processor, vision_features=features)(rows)
    whole = TGDICollator(processor, False, features)(rows)
    assert whole["vision_features"].shape[:2] == (4, 1)
    with torch.no_grad():
        torch.testing.assert_close(frozen(**whole).logits, frozen(**shared).logits)


def test_training_from_features_has_the_same_losses_as_training_from_pixels(corpus, tmp_path):
    curves = []
    for name, dtype in (("pixels", None), ("float32", "float32"), ("float16", "float16")):
        set_seed(0)
        model, processor = tiny_tgdi(corpus)
        model.freeze_vision_encoder()
        features = dtype and compute(model, processor, corpus, tmp_path / name, dtype)
        arguments = training_arguments(
            tmp_path / f"run-{name}", num_train_epochs=2, learning_rate=1e-3, dataloader_num_workers=0, logging_steps=1,
            disable_tqdm=True, eval_strategy="no", save_strategy="no", load_best_model_at_end=False,
        )  # fmt: skip
        trainer = make_trainer(model, processor, corpus, arguments, vision_features=features)
        calls = []
        model.tgdi.vision_tower.register_forward_hook(lambda *args, calls=calls: calls.append(1))
        trainer.train()
        assert bool(calls) == (dtype is None)  # with features, no image is encoded
        curves.append([entry["loss"] for entry in trainer.state.log_history if "loss" in entry])
    assert curves[1] == pytest.approx(curves[0], abs=1e-4)
    assert curves[2] == pytest.approx(curves[0], abs=5e-3)
    assert len(curves[0]) == 12


def test_only_missing_features_are_computed(frozen, processor, images, tmp_path, capsys):
    calls = []
    frozen.tgdi.vision_tower.register_forward_hook(lambda *args: calls.append(len(args[2].last_hidden_state)))
    first = DatasetDict(train=images["train"].select([0]))
    compute(frozen, processor, first, tmp_path / "features")
    assert calls == [1, 1]  # a blank image, for the shape, and the image of the post
    features = compute(frozen, processor, images, tmp_path / "features")
    assert calls == [1, 1, 1, 1]
    assert len(features) == 2
    assert differences(frozen, processor, images, features) < 1e-5
    calls.clear()
    compute(frozen, processor, images, tmp_path / "features")
    assert calls == [1]
    assert "0 to compute" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("resizes", [("crop", "squash"), ("squash", "squash"), ("squash", "crop")])
def test_features_are_those_of_the_cropped_or_squashed_images(frozen, processor, images, tmp_path, resizes):
    cropping = CLIPImageProcessorPil(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64})
    processor = TGDIProcessor(cropping, processor.tokenizer, 3, image_resize="crop", object_resize="crop")
    frozen.config.num_objects = 3
    features = compute(frozen, processor, images, tmp_path / "features")
    assert len(features) == 4 and differences(frozen, processor, images, features) < 1e-5
    # With other options, features of the old ones are not used, and the lacking ones are added.
    processor.image_resize, processor.object_resize = resizes
    with pytest.raises(ValueError, match="has no features of this image.*, squashed"):
        differences(frozen, processor, images, features)
    added = compute(frozen, processor, images, tmp_path / "features")
    assert len(added) == 4 + 2 * resizes.count("squash")
    assert differences(frozen, processor, images, added) < 1e-5


def test_options_of_resizing_are_checked(frozen, processor, images, tmp_path):
    tower, image_processor = frozen.tgdi.vision_tower, processor.image_processor
    with pytest.raises(ValueError, match="`image_resize` is 'fit'; expected 'crop' or 'squash'"):
        compute_vision_features(tower, image_processor, images, tmp_path / "features", image_resize="fit")


def test_unsupported_inputs_are_refused(model, processor, images, tmp_path, caplog):
    with pytest.raises(ValueError, match="freeze_vision_encoder"):
        compute(model, processor, images, tmp_path / "features")
    model.freeze_vision_encoder()
    with pytest.raises(ValueError, match="`dtype` is 'int8'; expected one of float32"):
        compute(model, processor, images, tmp_path / "features", "int8")
    with pytest.raises(FileNotFoundError, match="no vision features"):
        VisionFeatures(tmp_path / "nothing")
    features = compute(model, processor, images, tmp_path / "features")
    with pytest.raises(ValueError, match="stored as float32, not as float16"):
        compute(model, processor, images, tmp_path / "features", "float16")
    with pytest.raises(ValueError, match=r"row 0 of the batch, image is a PngImageFile.*undecoded"):
        TGDICollator(processor, vision_features=features)([images["train"][0]])
    file = io.BytesIO()
    Image.new("RGB", (9, 9)).save(file, "PNG")
    post = {**TEXT, "image": {"bytes": file.getvalue(), "path": None}}
    with pytest.raises(ValueError, match=r"row 0 of the batch, image: .* has no features of this image\. Compute"):
        TGDICollator(processor, vision_features=features)([post])
    (tmp_path / "broken.png").write_bytes(b"no image")
    broken = DatasetDict(train=Dataset.from_list([{**TEXT, "image": str(tmp_path / "broken.png")}]))
    broken = broken.cast_column("image", ImageFeature())
    assert len(compute(model, processor, broken, tmp_path / "features")) == 2
    assert "train, row 0" in caplog.text


def test_one_option_trains_from_features(corpus, tmp_path):
    from transformers import BertModel, ViTModel

    from tgdi_hf.demo.tiny import tiny_image_processor, tiny_text_config, tiny_tokenizer, tiny_vision_config

    tokenizer = tiny_tokenizer(corpus["train"]["text"])
    for part in (tokenizer, BertModel(tiny_text_config(tokenizer))):
        part.save_pretrained(tmp_path / "text")
    for part in (tiny_image_processor(), ViTModel(tiny_vision_config())):
        part.save_pretrained(tmp_path / "vision")
    metrics = fine_tune(
        corpus, tmp_path / "run", tmp_path / "text", tmp_path / "vision", vision_features=tmp_path / "features",
        model_options={"toi_num_layers": 1}, num_train_epochs=1, disable_tqdm=True, dataloader_num_workers=1,
    )  # fmt: skip
    assert "eval_f1" in metrics
    assert len(VisionFeatures(tmp_path / "features")) > 100


def test_features_of_images_serve_any_regions(frozen, processor, images, tmp_path, capsys):
    processor = copy.copy(processor)
    processor.num_objects = frozen.config.num_objects = 3
    processor.object_features = frozen.config.object_features = "regions"
    features = compute(frozen, processor, images, tmp_path / "features")
    assert features.object_features == "regions"
    assert len(features) == 2  # images; their boxes add none
    assert f"2 images and parts × {3 * 64 * 64 * 4:,} bytes" in capsys.readouterr().err
    assert differences(frozen, processor, images, features) < 1e-5

    def others(row):
        return {"objects": [[3.0, 7.0, 42.0, 11.0], [0.0, 0.0, 100.0, 80.0]] if row["image"] else []}

    frozen.config.prompt_grid = 2
    assert differences(frozen, processor, DatasetDict(train=images["train"].map(others)), features) < 1e-5
    crops = copy.copy(processor)
    crops.object_features = "crops"
    with pytest.raises(ValueError, match=r"vision features are for `object_features='regions'`, but the processor has"):
        TGDICollator(crops, vision_features=features)(list(undecoded(images["train"])))
    with pytest.raises(ValueError, match=r"model has `object_features='regions'`, but the processor has 'crops'"):
        compute(frozen, crops, images, tmp_path / "features")
    with pytest.raises(ValueError, match="`object_features` is 'boxes'"):
        compute_vision_features(
            frozen.tgdi.vision_tower, processor.image_processor, images, tmp_path / "features", object_features="boxes"
        )

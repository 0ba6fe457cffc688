import io
import json
import pickle

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict
from datasets import Image as ImageFeature
from PIL import Image
from transformers import set_seed

from tgdi_hf import TGDICollator, undecoded
from tgdi_hf.demo.tiny_model import tiny_tgdi
from tgdi_hf.preparation.vision_feature_store import VisionFeatures, VisionFeatureWriter, box_key
from tgdi_hf.preparation.vision_features import compute_model_features
from tgdi_hf.preparation.vision_fingerprint import fingerprint_of
from tgdi_hf.training.fine_tuning import fine_tune
from tgdi_hf.training.recipe import training_arguments
from tgdi_hf.training.trainer import make_trainer

TEXT = {"text": "Ann meets Bob", "head": [0, 3], "tail": [10, 13]}


@pytest.fixture
def frozen(model):
    model.freeze_vision_encoder()
    return model


@pytest.fixture
def images(tmp_path):
    """Posts with two distinct images, one of them with boxes, one with a crop."""
    generator = np.random.default_rng(0)
    paths = []
    for name in ("a.png", "b.png"):
        Image.fromarray(generator.integers(0, 255, (80, 100, 3), dtype=np.uint8)).save(tmp_path / name)
        paths.append(str(tmp_path / name))
    rows = [
        {**TEXT, "image": paths[0], "objects": [[0.0, 0.0, 50.0, 40.5], [10.0, 10.0, 90.0, 70.0]]},
        {**TEXT, "image": paths[1], "objects": []},
        {**TEXT, "image": paths[0], "objects": []},
        {**TEXT, "image": None, "objects": []},
    ]
    return DatasetDict(train=Dataset.from_list(rows).cast_column("image", ImageFeature()))


def compute(model, processor, dataset, folder, dtype="float32"):
    return compute_model_features(model, processor, dataset, folder, dtype)


def differences(model, processor, dataset, features):
    rows = list(undecoded(dataset["train"]))
    from_pixels, kept = TGDICollator(processor)(rows), TGDICollator(processor, vision_features=features)(rows)
    assert "pixel_values" not in kept
    for name in ("image_index", "image_mask"):
        assert torch.equal(from_pixels[name], kept[name])
    with torch.no_grad():
        return (model(**from_pixels).logits - model(**kept).logits).abs().max()


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float16", 1e-2), ("bfloat16", 5e-2)])
def test_kept_features_give_the_logits_of_pixels(
    frozen, processor, images, tmp_path, dtype, tolerance, capsys, monkeypatch
):
    monkeypatch.setattr(processor, "num_objects", 3)
    frozen.config.num_objects = 3
    features = compute(frozen, processor, images, tmp_path / "kept", dtype)
    assert len(features) == 4  # two images, two boxes
    assert differences(frozen, processor, images, features) < tolerance
    # The size is said in advance: 4 rows of (3 + 64) × 64 numbers.
    size = 67 * 64 * (4 if dtype == "float32" else 2)
    assert f"4 images and parts × {size:,} bytes" in capsys.readouterr().err
    assert (tmp_path / "kept" / "features.bin").stat().st_size == 4 * size


def test_every_row_can_have_its_own(frozen, processor, images, tmp_path):
    features = compute(frozen, processor, images, tmp_path / "kept")
    rows = list(undecoded(images["train"]))
    shared = TGDICollator(processor, vision_features=features)(rows)
    whole = TGDICollator(processor, False, features)(rows)
    assert whole["vision_features"].shape[:2] == (4, 1)
    with torch.no_grad():
        torch.testing.assert_close(frozen(**whole).logits, frozen(**shared).logits)


def test_training_from_features_has_the_losses_of_training_from_pixels(corpus, tmp_path):
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
        assert bool(calls) == (dtype is None)  # no pixel was encoded
        curves.append([entry["loss"] for entry in trainer.state.log_history if "loss" in entry])
    assert curves[1] == pytest.approx(curves[0], abs=1e-4)
    assert curves[2] == pytest.approx(curves[0], abs=5e-3)
    assert len(curves[0]) == 12


def test_features_are_computed_once_and_added_to(frozen, processor, images, tmp_path, capsys):
    calls = []
    frozen.tgdi.vision_tower.register_forward_hook(lambda *args: calls.append(len(args[2].last_hidden_state)))
    first = DatasetDict(train=images["train"].select([0]))
    compute(frozen, processor, first, tmp_path / "kept")
    assert calls == [1, 1]  # a blank one, for the shape, and the image
    features = compute(frozen, processor, images, tmp_path / "kept")
    assert calls == [1, 1, 1, 1]
    assert len(features) == 2
    assert differences(frozen, processor, images, features) < 1e-5
    calls.clear()
    compute(frozen, processor, images, tmp_path / "kept")
    assert calls == [1]
    assert "0 to compute" in capsys.readouterr().err.splitlines()[-1]


def test_what_a_kill_left_unfinished_is_no_feature(frozen, processor, images, tmp_path, monkeypatch):
    def killed(self, keys, features):
        self.rows[self.used] = 7.0
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(VisionFeatureWriter, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            compute(frozen, processor, images, tmp_path / "kept")
    assert len(VisionFeatures(tmp_path / "kept")) == 0
    features = compute(frozen, processor, images, tmp_path / "kept")
    assert differences(frozen, processor, images, features) < 1e-5


def test_features_of_another_encoder_or_processor_are_refused(frozen, processor, images, tmp_path, corpus):
    compute(frozen, processor, images, tmp_path / "kept")
    fingerprint = fingerprint_of(frozen.tgdi.vision_tower, processor.image_processor, 1)
    VisionFeatures(tmp_path / "kept", fingerprint)
    with torch.no_grad():
        frozen.tgdi.vision_tower.embeddings.cls_token.add_(1)
    with pytest.raises(ValueError, match="belong to another vision encoder.*weights was"):
        compute(frozen, processor, images, tmp_path / "kept")
    with pytest.raises(ValueError, match=r"prompt_grid was 1, is 2"):
        VisionFeatures(tmp_path / "kept", {**fingerprint, "prompt_grid": 2})
    set_seed(0)
    model, other = tiny_tgdi(corpus)
    model.freeze_vision_encoder()
    other.image_processor.image_mean = [0.1, 0.1, 0.1]
    with pytest.raises(ValueError, match=r"image_processor was .*0\.5.* is .*0\.1"):
        VisionFeatures(tmp_path / "kept", fingerprint_of(model.tgdi.vision_tower, other.image_processor, 1))


def test_the_fingerprint_survives_saving_and_loading(checkpoint, frozen, processor):
    from tgdi_hf import TGDIForRelationExtraction, TGDIProcessor

    model, again = TGDIForRelationExtraction.from_pretrained(checkpoint), TGDIProcessor.from_pretrained(checkpoint)
    one = fingerprint_of(frozen.tgdi.vision_tower, processor.image_processor, 1)
    assert one == fingerprint_of(model.tgdi.vision_tower, again.image_processor, 1)


def test_the_name_of_saved_code_is_no_setting(frozen, processor, images, tmp_path):
    """Features were kept with it where the processor had been loaded from a file."""
    compute(frozen, processor, images, tmp_path / "kept")
    file = tmp_path / "kept" / "features.json"
    meta = json.loads(file.read_text())
    meta["fingerprint"]["image_processor"]["auto_map"] = {"AutoProcessor": "processing_tgdi.TGDIProcessor"}
    file.write_text(json.dumps(meta))
    VisionFeatures(tmp_path / "kept", fingerprint_of(frozen.tgdi.vision_tower, processor.image_processor, 1))


def test_what_can_not_be_right_is_refused(model, processor, images, tmp_path, caplog):
    with pytest.raises(ValueError, match="freeze_vision_encoder"):
        compute(model, processor, images, tmp_path / "kept")
    model.freeze_vision_encoder()
    with pytest.raises(ValueError, match="`dtype` is 'int8'; expected one of float32"):
        compute(model, processor, images, tmp_path / "kept", "int8")
    with pytest.raises(FileNotFoundError, match="no vision features"):
        VisionFeatures(tmp_path / "nothing")
    features = compute(model, processor, images, tmp_path / "kept")
    with pytest.raises(ValueError, match="stored as float32, not as float16"):
        compute(model, processor, images, tmp_path / "kept", "float16")
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
    assert len(compute(model, processor, broken, tmp_path / "kept")) == 2
    assert "train, row 0" in caplog.text


def test_a_box_that_can_not_be_cut_out_takes_no_other_with_it(frozen, processor, images, tmp_path, caplog, monkeypatch):
    image = images["train"].cast_column("image", ImageFeature(decode=False))[0]["image"]["path"]
    rows = [{**TEXT, "image": image, "objects": [box]} for box in ([0, 0, 9, 9], [500, 500, 600, 600], [0, 0, 9, 30])]
    Image.new("RGB", (3000, 2)).save(tmp_path / "strip.png")
    rows.append({**TEXT, "image": str(tmp_path / "strip.png"), "objects": []})
    named = DatasetDict(train=Dataset.from_list(rows))  # images as the paths of their files
    monkeypatch.setattr(processor, "num_objects", 3)
    features = compute(frozen, processor, named, tmp_path / "kept")
    assert len(features) == 3
    assert "no pixel of the image" in caplog.text and "strip of 3000 × 2" in caplog.text
    collate = TGDICollator(processor, vision_features=features)
    collate([rows[0], rows[2]])
    with pytest.raises(ValueError, match=r"no features of this image and box \(500.0, .*warning"):
        collate([rows[1]])


def test_workers_map_the_file_themselves(frozen, processor, images, tmp_path):
    features = compute(frozen, processor, images, tmp_path / "kept")
    collate = TGDICollator(processor, vision_features=features)
    rows = list(undecoded(images["train"]))
    expected = collate(rows)
    again = pickle.loads(pickle.dumps(collate))
    assert torch.equal(again(rows)["vision_features"], expected["vision_features"])
    assert len(pickle.dumps(features)) < 10_000


def test_boxes_go_by_the_pixels_that_they_touch():
    assert box_key(None) == ""
    assert box_key((0.2, 1.0, 5.1, 6.0)) == box_key((0.9, 1.5, 6.0, 5.5)) == "0,1,6,6"


def test_one_option_trains_from_features(corpus, tmp_path):
    from transformers import BertModel, ViTModel

    from tgdi_hf.demo.tiny import tiny_image_processor, tiny_text_config, tiny_tokenizer, tiny_vision_config

    tokenizer = tiny_tokenizer(corpus["train"]["text"])
    for part in (tokenizer, BertModel(tiny_text_config(tokenizer))):
        part.save_pretrained(tmp_path / "text")
    for part in (tiny_image_processor(), ViTModel(tiny_vision_config())):
        part.save_pretrained(tmp_path / "vision")
    metrics = fine_tune(
        corpus, tmp_path / "run", tmp_path / "text", tmp_path / "vision", vision_features=tmp_path / "kept",
        model_options={"toi_num_layers": 1}, num_train_epochs=1, disable_tqdm=True, dataloader_num_workers=1,
    )  # fmt: skip
    assert "eval_f1" in metrics
    assert len(VisionFeatures(tmp_path / "kept")) > 100

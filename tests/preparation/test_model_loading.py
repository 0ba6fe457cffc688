import torch
from transformers import AutoModelForImageTextToText

from tgdi_hf.preparation.checkpoint_identity import resolve_checkpoint
from tgdi_hf.preparation.model_loading import load_with_processor

from .tiny_checkpoints import blip


def test_a_model_is_loaded_with_its_processor_and_identity(tmp_path):
    folder = blip(tmp_path)
    model, processor, identity = load_with_processor(
        AutoModelForImageTextToText, str(folder), None, torch.bfloat16, "cpu", {"local_files_only": True}
    )
    assert (model.config.model_type, model.dtype, model.device.type) == ("blip", torch.bfloat16, "cpu")
    assert type(processor).__name__ == "BlipProcessor"
    assert type(processor.image_processor).__name__.endswith("Pil")
    assert identity == resolve_checkpoint(folder).identity
    assert model.config._name_or_path == str(folder)


def test_a_device_map_places_the_model(tmp_path):
    folder = blip(tmp_path)
    options = {"device_map": {"": "cpu"}, "use_safetensors": True}
    model, _, _ = load_with_processor(
        AutoModelForImageTextToText, str(folder), None, torch.float32, "meta", None, **options
    )
    assert model.device.type == "cpu"  # and is not moved to the device

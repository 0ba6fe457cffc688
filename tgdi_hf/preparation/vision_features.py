"""Features of a frozen vision encoder, computed once per distinct image and stored on disk."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from filelock import FileLock
from PIL import Image
from tqdm.auto import tqdm
from transformers import AutoImageProcessor, PreTrainedModel

from ..checkpoints import hub_access
from ..modeling.modeling_tgdi import TGDIForRelationExtraction
from ..modeling.pretrained_towers import as_vision_tower, load_tower
from ..modeling.visual_prompts import vision_features
from ..processing.image_opening import MAX_IMAGE_PIXELS
from ..processing.image_resizing import checked_resizes, encoder_pixels, squashed_parts
from ..processing.prefetch import prefetch
from ..processing.processing_tgdi import TGDIProcessor
from ..processing.processor_options import CROPS, REGIONS, check_same_object_features, checked_object_features
from .image_parts import ImageParts, cut_parts, find_image_parts, images_only, missing_parts
from .vision_feature_store import DTYPES, FeatureKey, VisionFeatures, VisionFeatureWriter
from .vision_fingerprint import fingerprint_of

Crop = tuple[FeatureKey, np.ndarray]


@torch.inference_mode()
def compute_vision_features(
    tower: PreTrainedModel,
    image_processor: Any,
    dataset: Mapping[str, Dataset] | Dataset,
    folder: str | Path,
    *,
    prompt_grid: int = 1,
    num_objects: int = 3,
    dtype: str = "float16",
    batch_size: int = 32,
    num_workers: int = 2,
    max_image_pixels: int = MAX_IMAGE_PIXELS,
    image_resize: str | None = None,
    object_resize: str | None = None,
    object_features: str = CROPS,
    progress: bool = True,
) -> VisionFeatures:
    r"""
    Computes the features of all images of a dataset that the folder does not have yet.

    Prints their size on disk before it starts. A killed run continues from the last stored batch. If several processes
    write to the same folder, one computes and the others wait. An image that cannot be opened gets no features, and
    training on a post with this image raises an error.

    Args:
        tower: The frozen vision encoder of a TGDI model, `model.base_model.vision_tower`.
        image_processor: Its image processor, `processor.image_processor`.
        dataset: Splits with `image` and optionally `objects`: boxes or crops.
        folder: Output folder; may have features already.
        prompt_grid: As in the configuration of the model.
        num_objects: As in the configuration of the model; further objects of a post are ignored.
        dtype: Data type on disk: `"float32"`, `"float16"` or `"bfloat16"`.
        batch_size: Number of images per forward pass of the encoder.
        num_workers: Number of threads that open and resize images.
        max_image_pixels: An image with more pixels is refused before it is decoded.
        image_resize: As in the processor of the model. A folder can hold features of both kinds, under separate keys.
        object_resize: As in the processor of the model.
        object_features: As in the configuration of the model. With `"regions"` an image has one row, the patches of
            every hidden state, for any boxes and any `prompt_grid`.
        progress: Show a progress bar.

    Raises:
        ValueError: The folder has features with another fingerprint or dtype, the encoder is not frozen, or `dtype`
            is not supported.
        InvalidOption: `image_resize`, `object_resize` or `object_features` has another value than those of
            `TGDIProcessor`.
    """
    if dtype not in DTYPES:
        raise ValueError(f"`dtype` is {dtype!r}; expected one of {', '.join(DTYPES)}.")
    if any(parameter.requires_grad for parameter in tower.parameters()):
        raise ValueError("Vision features require a frozen encoder: call `model.freeze_vision_encoder()` first.")
    if isinstance(dataset, Dataset):
        dataset = {"": dataset}
    images = {split: images_only(rows) for split, rows in dataset.items()}
    regions = checked_object_features(object_features) == REGIONS
    resizes = checked_resizes(image_processor, image_resize, object_resize, object_features)
    squashed = squashed_parts(image_processor, *resizes)

    def transform(image: Image.Image, squash: bool = False) -> np.ndarray:
        return encoder_pixels(image_processor, [image], squash)[0]

    def cut(batch: list[tuple[str, ImageParts]]) -> list[list[Crop]]:
        return [cut_parts(*image, images, transform, max_image_pixels) for image in batch]

    def encode(pixels: list[np.ndarray]) -> torch.Tensor:
        return vision_features(tower, torch.from_numpy(np.stack(pixels)).to(tower.device), prompt_grid, object_features)

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        fingerprint = fingerprint_of(tower, image_processor, prompt_grid, object_features)
        writer = VisionFeatureWriter(folder, fingerprint, dtype)
        missing = missing_parts(find_image_parts(images, 0 if regions else num_objects, squashed), writer.keys)
        blank = transform(Image.new("RGB", (64, 64)))
        writer.reserve(sum(len(image.parts) for image in missing.values()), encode([blank])[0].shape)
        if progress:
            print(f"vision features in {folder}: {writer.describe()}", file=sys.stderr)
        todo = list(missing.items())
        batches = (todo[start : start + batch_size] for start in range(0, len(todo), batch_size))
        with tqdm(total=len(todo), unit=" images", desc="vision features", disable=None if progress else True) as bar:
            for batch in prefetch(cut, batches, num_workers):
                crops = [crop for of_image in batch for crop in of_image]
                for start in range(0, len(crops), batch_size):
                    keys, pixels = zip(*crops[start : start + batch_size])
                    writer.write(list(keys), encode(list(pixels)).cpu())
                bar.update(len(batch))
    return VisionFeatures(folder, writer.meta["fingerprint"])


def compute_model_features(
    model: TGDIForRelationExtraction,
    processor: TGDIProcessor,
    dataset: Mapping[str, Dataset],
    folder: str | Path,
    dtype: str = "float16",
    device: torch.device | str = "cpu",
) -> VisionFeatures:
    r"""
    `compute_vision_features` with the vision encoder and the settings of a TGDI model.

    Args:
        model, processor: The model, whose vision encoder is moved to `device`, and its processor.
        dataset, folder, dtype: See `compute_vision_features`.
        device: Device of the vision encoder.
    """
    check_same_object_features(model.config, processor)
    tower = model.base_model.vision_tower.to(device)
    assert isinstance(tower, PreTrainedModel)
    return compute_vision_features(
        tower,
        processor.image_processor,
        dataset,
        folder,
        prompt_grid=model.config.prompt_grid,
        num_objects=processor.num_objects,
        dtype=dtype,
        max_image_pixels=processor.max_image_pixels,
        image_resize=processor.image_resize,
        object_resize=processor.object_resize,
        object_features=processor.object_features,
    )


def compute_encoder_features(
    vision_model: str,
    dataset: Mapping[str, Dataset],
    folder: str | Path,
    dtype: str = "float16",
    *,
    image_resize: str | None = None,
    object_resize: str | None = None,
    object_features: str = CROPS,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
) -> VisionFeatures:
    r"""
    `compute_vision_features` with a pretrained vision encoder, before a TGDI model is built from it.

    Args:
        vision_model: Name on the Hub, or a folder.
        dataset, folder, dtype, image_resize, object_resize, object_features: See `compute_vision_features`.
        revision, token, cache_dir, local_files_only: See `hub_access`.
    """
    hub, _ = hub_access(vision_model, revision, token, cache_dir, local_files_only)
    tower = load_tower(vision_model, "vision", dtype=torch.float32, **hub)
    tower = as_vision_tower(tower).requires_grad_(False).eval()
    tower.to(torch.accelerator.current_accelerator(check_available=True) or "cpu")
    image_processor = AutoImageProcessor.from_pretrained(
        vision_model, backend="pil", **{"trust_remote_code": False, **hub}
    )
    return compute_vision_features(
        tower,
        image_processor,
        dataset,
        folder,
        dtype=dtype,
        image_resize=image_resize,
        object_resize=object_resize,
        object_features=object_features,
    )

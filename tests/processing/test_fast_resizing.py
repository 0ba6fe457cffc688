import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    AutoModel,
    BitImageProcessorPil,
    CLIPImageProcessorPil,
    SiglipImageProcessorPil,
    ViTImageProcessorPil,
)

from tgdi_hf.processing.fast_resizing import fast_pixels, fast_steps
from tgdi_hf.processing.image_resizing import encoder_pixels

from ..modeling.conftest import VISION_CONFIGS

KINDS = {
    "clip": CLIPImageProcessorPil(),
    "vit": ViTImageProcessorPil(),
    "siglip": SiglipImageProcessorPil(),
    "dino": BitImageProcessorPil(size={"shortest_edge": 256}),
    "raw": CLIPImageProcessorPil(do_normalize=False),
}


def photo(width, height):
    """Smooth shapes with noise."""
    random = np.random.default_rng(0)
    coarse = Image.fromarray(random.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((width, height))
    return Image.fromarray((np.asarray(coarse) * 0.9 + random.integers(0, 25, (height, width, 3))).astype(np.uint8))


def level(image_processor):
    """The difference between neighbouring levels of a pixel value."""
    return 1 / 255 / (min(image_processor.image_std) if image_processor.do_normalize else 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1000, 700), (300, 400)])
def test_pixels_are_those_of_the_image_processor_within_one_level(kind, size):
    image_processor, image = KINDS[kind], photo(*size)
    (expected,) = image_processor([image], return_tensors=None)["pixel_values"]
    (pixels,) = encoder_pixels(image_processor, [image], squash=False)
    assert fast_steps(image_processor, vars(image_processor)) is not None
    assert pixels.dtype == expected.dtype == np.float32 and pixels.shape == expected.shape
    differences = np.abs(pixels - expected)
    assert differences.max() < 1.01 * level(image_processor)
    assert (differences > 1e-6).mean() < 0.01  # all others are equal


def test_images_that_are_enlarged_are_left_to_the_image_processor():
    small, large = photo(300, 100), photo(300, 400)
    assert fast_pixels(small, (224, 224), fast_steps(KINDS["vit"], vars(KINDS["vit"]))) is None
    found = encoder_pixels(KINDS["vit"], [small, large, small], squash=False)
    expected = KINDS["vit"]([small, large, small], return_tensors=None)["pixel_values"]
    assert np.array_equal(found[0], expected[0]) and np.array_equal(found[2], expected[2])
    assert 0 < np.abs(found[1] - expected[1]).max() < 1.01 * level(KINDS["vit"])


def test_an_image_of_the_right_size_is_not_resampled():
    (pixels,) = encoder_pixels(KINDS["vit"], [photo(224, 224)], squash=False)
    (expected,) = KINDS["vit"]([photo(224, 224)], return_tensors=None)["pixel_values"]
    assert np.array_equal(pixels, expected)


def test_features_are_equal_within_rounding():
    torch.manual_seed(0)
    tower = AutoModel.from_config(VISION_CONFIGS["vit"]).eval()
    size = {"height": VISION_CONFIGS["vit"].image_size, "width": VISION_CONFIGS["vit"].image_size}
    image_processor = ViTImageProcessorPil(size=size)
    with torch.no_grad():
        plain, fast = (
            tower(torch.from_numpy(np.stack(pixels))).last_hidden_state
            for pixels in (
                image_processor([photo(640, 480)], return_tensors=None)["pixel_values"],
                encoder_pixels(image_processor, [photo(640, 480)], squash=False),
            )
        )
    assert (plain - fast).abs().max() < 0.01 * plain.abs().mean()


class Own(ViTImageProcessorPil):
    def resize(self, image, size, **options):
        return np.zeros((3, size.height, size.width), dtype=np.uint8)


@pytest.mark.parametrize(
    "image_processor",
    [
        Own(),
        ViTImageProcessorPil(resample=Image.Resampling.LANCZOS),
        ViTImageProcessorPil(do_rescale=False, do_normalize=False),
        ViTImageProcessorPil(do_resize=False),
        ViTImageProcessorPil(do_pad=True),
    ],
    ids=["own step", "other filter", "bytes", "no resizing", "padding"],
)
def test_other_image_processors_run_by_themselves(image_processor):
    assert fast_steps(image_processor, vars(image_processor)) is None
    (pixels,) = encoder_pixels(image_processor, [photo(60, 40)], squash=False)
    (expected,) = image_processor([photo(60, 40)], return_tensors=None)["pixel_values"]
    assert np.array_equal(pixels, expected)


def test_a_crop_larger_than_the_image_is_padded_by_the_image_processor():
    padding = CLIPImageProcessorPil(size={"shortest_edge": 8}, crop_size={"height": 12, "width": 12})
    steps = fast_steps(padding, vars(padding))
    assert fast_pixels(photo(40, 40), (8, 8), steps) is None
    (pixels,) = encoder_pixels(padding, [photo(40, 40)], squash=False)
    assert np.array_equal(pixels, padding([photo(40, 40)], return_tensors=None)["pixel_values"][0])


def test_options_of_a_call_that_are_not_followed_go_to_the_image_processor():
    (pixels,) = encoder_pixels(KINDS["vit"], [photo(60, 40)], False, {"image_mean": [0.0, 0.0, 0.0]})
    (expected,) = KINDS["vit"]([photo(60, 40)], image_mean=[0.0, 0.0, 0.0], return_tensors=None)["pixel_values"]
    assert np.array_equal(pixels, expected)

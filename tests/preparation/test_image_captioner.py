import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tgdi_hf.preparation.image_captioner import FLORENCE_PROMPT, ImageCaptioner, cut_repetition

from .tiny_checkpoints import CAPTIONERS


def noise_images(*sizes, seed=0):
    generator = np.random.default_rng(seed)
    return [Image.fromarray(generator.integers(0, 255, (h, w, 3), dtype=np.uint8)) for w, h in sizes]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    return {kind: build(tmp_path_factory.mktemp(kind)) for kind, build in CAPTIONERS.items()}


@pytest.mark.parametrize("kind", CAPTIONERS)
@pytest.mark.parametrize("prompt", [None, "a photo of"])
def test_captions_are_deterministic_and_depend_on_the_image(checkpoints, kind, prompt):
    captioner = ImageCaptioner.from_pretrained(checkpoints[kind], prompt=prompt, max_new_tokens=8)
    images = noise_images((60, 40), (20, 30), (16, 16))
    captions = captioner(images)
    assert len(captions) == len(set(captions)) == 3
    assert captions == captioner(images)
    assert [captioner([image])[0] for image in images] == captions
    assert not any("photo" in caption for caption in captions)  # the prompt is removed


def test_blip2_captions_are_those_of_its_generate_method(checkpoints):
    captioner = ImageCaptioner.from_pretrained(checkpoints["blip2"], max_new_tokens=5)
    image = noise_images((16, 16))
    inputs = captioner.processor(images=image, return_tensors="pt")
    tokens = captioner.model.generate(**inputs, do_sample=False, max_new_tokens=5)
    expected = captioner.processor.batch_decode(tokens, skip_special_tokens=True)[0]
    assert captioner(image) == [" ".join(expected.split())]
    prompted = ImageCaptioner.from_pretrained(checkpoints["blip2"], prompt="JFK and", max_new_tokens=5)
    inputs = captioner.processor(images=image, text=["JFK and"], return_tensors="pt")
    tokens = captioner.model.generate(**inputs, do_sample=False, max_new_tokens=5)
    whole = captioner.processor.batch_decode(tokens, skip_special_tokens=True)[0]
    assert " ".join(whole.split()) in ("JFK and " + prompted(image)[0], prompted(image)[0])


def test_default_prompts_by_model_type(checkpoints):
    prompts = {kind: ImageCaptioner.from_pretrained(path).prompt for kind, path in checkpoints.items()}
    assert prompts["blip"] is prompts["blip2"] is None
    assert prompts["florence2"] == FLORENCE_PROMPT
    assert "short sentence" in prompts["llava"]


def test_settings_identify_the_weights_and_the_generation(checkpoints, tmp_path):
    captioner = ImageCaptioner.from_pretrained(
        checkpoints["blip"], prompt="a photo of", dtype=torch.bfloat16, device="cpu", num_beams=2
    )
    assert captioner.model.dtype == torch.bfloat16
    assert isinstance(captioner(noise_images((16, 16)))[0], str)
    settings = json.loads(json.dumps(captioner.settings))
    assert settings["model"] == str(checkpoints["blip"])
    assert settings["revision"].startswith("sha256:")
    assert (settings["dtype"], settings["prompt"]) == ("bfloat16", "a photo of")
    assert settings["generation"] == {"do_sample": False, "num_beams": 2, "max_new_tokens": 30}
    # Equal weights have the same identity, other weights another one.
    CAPTIONERS["blip"](tmp_path)
    again = ImageCaptioner.from_pretrained(tmp_path)
    assert again.settings["revision"] == settings["revision"]
    with torch.no_grad():
        next(again.model.parameters()).add_(1)
    again.model.save_pretrained(tmp_path)
    assert ImageCaptioner.from_pretrained(tmp_path).settings["revision"] != settings["revision"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("two men in gowns", "two men in gowns"),
        ("tumblr tumblr tumblr tumblr", "tumblr"),
        ("Venom venom VENOM", "Venom"),
        ("no no", "no no"),
        ("a man with a hat hat hat standing", "a man with a hat standing"),
        ("mahesh babu, mahesh babu, mahesh babu, mahesh bab", "mahesh babu"),
        ("thomas the tank tumblr thomas the tank tumblr thomas the", "thomas the tank tumblr"),
        ("lyft car decals - lyft car decals - lyft car decals -", "lyft car decals"),
        ("on russian strategy - nato - nato - nato -", "on russian strategy - nato"),
        ("a b a b a c", "a b a b a c"),
        ("x x x then y y y", "x then y"),
        ("a a a b a a a b a a a b", "a b a"),
        ("", ""),
    ],
)
def test_repetition_is_removed(text, expected):
    assert cut_repetition(text) == expected


@given(st.lists(st.sampled_from("abc"), max_size=30))
def test_no_repetition_remains_and_no_word_is_added(words):
    cut = cut_repetition(" ".join(words)).split()
    assert not any(cut[i] == cut[i + 1] == cut[i + 2] for i in range(len(cut) - 2))
    remaining = iter(words)
    assert all(word in remaining for word in cut)  # a subsequence


@given(st.lists(st.sampled_from(["a", "cat", "sat"]), min_size=1, max_size=8), st.integers(3, 6))
def test_a_unit_that_occurs_three_times_is_kept_at_most_once(unit, times):
    cut = cut_repetition(" ".join(unit * times)).split()
    assert len(cut) <= len(unit)

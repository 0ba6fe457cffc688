"""Posts for the baselines, and what holds for every baseline that reads images."""

import torch

from ...modeling.conftest import IMAGE, tiny_inputs


def posts(**options) -> dict[str, torch.Tensor]:
    """`tiny_inputs` without captions."""
    return {name: value for name, value in tiny_inputs(**options).items() if not name.startswith("enhanced_")}


@torch.no_grad()
def assert_equal_one_by_one(model) -> None:
    """A row has the same logits alone as in a batch; the last one has no image."""
    inputs = posts()
    logits = model(**inputs).logits
    for row in range(len(logits)):
        alone = {name: value[row : row + 1] for name, value in inputs.items()}
        torch.testing.assert_close(model(**alone).logits, logits[row : row + 1], atol=1e-5, rtol=0)


@torch.no_grad()
def assert_padding_does_not_matter(model) -> None:
    """Longer texts and more image slots in a batch leave the logits of a post as they are."""
    inputs = posts()
    padded = dict(inputs)
    for name in ("input_ids", "attention_mask", "token_type_ids"):
        padded[name] = torch.nn.functional.pad(inputs[name], (0, 4))
    empty = torch.randn(4, 2, 3, IMAGE, IMAGE)
    padded["pixel_values"] = torch.cat([inputs["pixel_values"], empty], dim=1)
    padded["image_mask"] = torch.nn.functional.pad(inputs["image_mask"], (0, 2))
    torch.testing.assert_close(model(**padded).logits, model(**inputs).logits, atol=1e-5, rtol=0)


@torch.no_grad()
def assert_every_image_counts(model) -> None:
    """The whole image and each object change the logits, by their content and by their presence."""
    inputs = posts()
    logits = model(**inputs).logits[0]  # of the post with all images
    for slot in range(inputs["image_mask"].shape[1]):
        other = {**inputs, "pixel_values": inputs["pixel_values"].clone()}
        other["pixel_values"][0, slot] *= -1
        fewer = {**inputs, "image_mask": inputs["image_mask"].clone()}
        fewer["image_mask"][0, slot] = 0
        for changed in (other, fewer):
            assert (model(**changed).logits[0] - logits).abs().max() > 1e-5, slot

"""The inputs of TGDI in the one form that its mechanisms read: a tokenized text, and the images of a batch."""

from collections.abc import Callable
from typing import NamedTuple

import torch

from .devices import can_read_values, on_device_of


class TextInputs:
    r"""
    One of the two texts of a batch, T or T_e.

    Args:
        ids (`torch.Tensor`, *optional*): Token ids, `(B, L)`.
        mask (`torch.Tensor`, *optional*): `(B, L)`, nonzero at tokens and zero at padding; defaults to all tokens.
        types (`torch.Tensor`, *optional*): Segment ids, `(B, L)`.
        embeds (`torch.Tensor`, *optional*): Word embeddings instead of `ids`, `(B, L, embedding_size)`.
    """

    def __init__(
        self,
        ids: torch.Tensor | None,
        mask: torch.Tensor | None = None,
        types: torch.Tensor | None = None,
        embeds: torch.Tensor | None = None,
    ):
        self.ids, self.types, self.embeds = ids, types, embeds
        given = ids if embeds is None else embeds
        assert given is not None, "a text has ids or embeddings"
        self.mask = given.new_ones(given.shape[:2], dtype=torch.long) if mask is None else mask


class Images(NamedTuple):
    r"""
    The N distinct images of a batch, and which of them fills which of the S slots of each of the B posts.

    Args:
        pooled (`torch.Tensor`): Pooled tokens of each of the c vision hidden states, `(N, c, G, d_v)`.
        patches (`torch.Tensor`): Patches of the last vision hidden state, `(N, n, d_v)`.
        index (`torch.Tensor`): Indices into the N images, `(B, S)`; arbitrary where `mask` is false.
        mask (`torch.Tensor`): `(B, S)`, true where the slot holds an image.
    """

    pooled: torch.Tensor
    patches: torch.Tensor
    index: torch.Tensor  # type: ignore[assignment]  # replaces `tuple.index`, which nothing calls
    mask: torch.Tensor

    @classmethod
    def from_inputs(
        cls,
        pixel_values: torch.Tensor | None,
        vision_features: torch.Tensor | None,
        image_mask: torch.Tensor | None,
        image_index: torch.Tensor | None,
        *,
        batch_size: int,
        config,
        encode: Callable[[torch.Tensor], torch.Tensor],
        dtype: torch.dtype,
    ) -> "Images | None":
        r"""
        Validates the visual inputs of `TGDIModel.forward` and converts every form of them into distinct images and an
        index.

        Args:
            pixel_values, vision_features, image_mask, image_index (`torch.Tensor`, *optional*): See
                `TGDIModel.forward`.
            batch_size (`int`): The number of posts.
            config (`TGDIConfig`): The model's configuration.
            encode (`Callable`): `TGDIModel.get_vision_features`.
            dtype (`torch.dtype`): The model's dtype, to which `vision_features` are converted.

        Returns:
            `Images` or `None`: `None` if the batch has no images.

        Raises:
            ValueError: The tensors do not belong together; the message names them and their shapes.
        """
        if pixel_values is not None and vision_features is not None:
            raise ValueError("Expected `pixel_values` or `vision_features`, got both; leave one out.")
        if vision_features is not None:
            name = "vision_features"
            _check_rank(name, vision_features, 2, image_index)
            features = vision_features.to(dtype)
        elif pixel_values is not None:
            name = "pixel_values"
            _check_rank(name, pixel_values, 3, image_index)
            features = encode(pixel_values)
        elif image_mask is None and image_index is None:
            return None
        else:
            raise ValueError(
                "Got `image_mask` or `image_index` without `pixel_values` or `vision_features`; pass one of these too, "
                "or omit all of them for a batch without images."
            )
        if image_index is None:  # (B, S, ...): one row per post
            posts, slots = features.shape[:2]
            image_index = torch.arange(posts * slots, device=features.device).view(posts, slots)
            features = features.flatten(0, 1)
        if image_mask is None:
            image_mask = torch.ones_like(image_index)
        _check_slots(image_mask, image_index, batch_size, config.num_objects)
        image_mask = on_device_of(image_mask, features).bool()
        image_index = on_device_of(image_index, features).masked_fill(~image_mask, 0)
        _check_index(image_index, features.shape[0])
        width = config.vision_config.hidden_size
        if features.shape[1] <= config.num_pooled_tokens or features.shape[2] != width:
            raise ValueError(
                f"`{name}` yields features of shape {tuple(features.shape)}; expected (N, more than "
                f"{config.num_pooled_tokens}, {width}). Compute features with `get_vision_features` of this model."
            )
        return cls.from_features(features, image_index, image_mask, config)

    @classmethod
    def from_features(cls, features: torch.Tensor, index: torch.Tensor, mask: torch.Tensor, config) -> "Images":
        """Splits vision features `(N, c · G + n, d_v)` into pooled tokens and patches."""
        count = config.num_pooled_tokens
        pooled = features[:, :count].unflatten(1, (-1, config.prompt_grid**2))  # (N, c, G, d_v)
        return cls(pooled, features[:, count:], index, mask)

    def shifted_negatives(self) -> "Images":
        """Replaces the images of each post by those of the preceding post; the first post gets those of the last."""
        return self._replace(index=self.index.roll(1, dims=0), mask=self.mask.roll(1, dims=0))

    def same_as(self, other: "Images") -> torch.Tensor:
        """`(B,)`: whether each post's first image equals that of `other`, compared by patches."""
        own, others = (images.patches[images.index[:, 0]] for images in (self, other))
        # Kernels round rows differently; distinct images differ by about their own magnitude.
        return (own - others).abs().mean(dim=(1, 2)) < 0.01 * own.abs().mean(dim=(1, 2))


def _check_rank(name: str, given: torch.Tensor, image_rank: int, image_index: torch.Tensor | None) -> None:
    """Checks the dimensions of `given`, in which one image has `image_rank` of them."""
    expected = image_rank + (2 if image_index is None else 1)
    if given.dim() != expected:
        raise ValueError(
            f"`{name}` has shape {tuple(given.shape)}; expected {expected} dimensions "
            f"{'without' if image_index is None else 'with'} `image_index`: one row per post with its images in the "
            "second dimension, or the distinct images of the batch and an `image_index`."
        )
    if 0 in given.shape:
        raise ValueError(
            f"`{name}` has shape {tuple(given.shape)}; expected at least one image. Omit `{name}` for a batch without "
            "images."
        )


def _check_slots(image_mask: torch.Tensor, image_index: torch.Tensor, batch_size: int, num_objects: int) -> None:
    if image_index.shape != image_mask.shape or image_index.shape[0] != batch_size:
        raise ValueError(
            f"A batch of {batch_size} posts needs one `image_mask` and one `image_index` entry per image slot; got "
            f"shapes {tuple(image_mask.shape)} for the mask and {tuple(image_index.shape)} for the images."
        )
    if image_index.shape[1] > 1 + num_objects:
        raise ValueError(
            f"Got {image_index.shape[1]} images per post; a model with `num_objects={num_objects}` reads at most "
            f"{1 + num_objects}: the whole image and {num_objects} objects."
        )


def _check_index(image_index: torch.Tensor, num_images: int) -> None:
    if not can_read_values(image_index):
        return
    outside = image_index[(image_index < 0) | (image_index >= num_images)]
    if outside.shape[0]:
        raise ValueError(f"`image_index` contains {int(outside[0])}; expected indices from 0 to {num_images - 1}.")

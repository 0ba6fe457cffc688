"""The inputs of TGDI in the one form that its mechanisms read: a tokenized text, and the images of a batch."""

from collections.abc import Callable
from typing import NamedTuple

import torch

from .devices import on_device_of
from .image_checks import (
    check_boxes,
    check_count,
    check_features,
    check_index,
    check_object_form,
    check_rank,
    check_regions,
    check_slots,
)
from .region_weights import REGIONS, patch_grid, region_weights, with_whole_image


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
    The N distinct images of a batch, and what fills which of the S slots of each of the B posts: slot 0 the image of
    the post, the others its objects. An object is an image of its own (`object_features="crops"`), or a region of the
    image of its post (`"regions"`).

    Args:
        pooled (`torch.Tensor`): Pooled tokens of each of the c vision hidden states, `(R, c, G, d_v)`, of R distinct
            images or regions.
        patches (`torch.Tensor`): Patches of the last vision hidden state, `(N, n, d_v)`.
        index (`torch.Tensor`): Indices into the R images or regions, `(B, S)`; arbitrary where `mask` is false.
        mask (`torch.Tensor`): `(B, S)`, true where the slot holds an image or object.
        image_index (`torch.Tensor`, *optional*): With regions, the image of each post, `(B, 1)`.
        region_weights (`torch.Tensor`, *optional*): With regions, the weights of the patches in each slot, `(B, S, n)`.
    """

    pooled: torch.Tensor
    patches: torch.Tensor
    index: torch.Tensor  # type: ignore[assignment]  # replaces `tuple.index`, which nothing calls
    mask: torch.Tensor
    image_index: torch.Tensor | None = None
    region_weights: torch.Tensor | None = None

    @classmethod
    def from_inputs(
        cls,
        pixel_values: torch.Tensor | None,
        vision_features: torch.Tensor | None,
        image_mask: torch.Tensor | None,
        image_index: torch.Tensor | None,
        object_boxes: torch.Tensor | None = None,
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
            pixel_values, vision_features, image_mask, image_index, object_boxes (`torch.Tensor`, *optional*): See
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
        given = pixel_values if vision_features is None else vision_features
        name = "pixel_values" if vision_features is None else "vision_features"
        if given is None:
            if image_mask is None and image_index is None and object_boxes is None:
                return None
            raise ValueError(
                "Got `image_mask`, `image_index` or `object_boxes` without `pixel_values` or `vision_features`; pass "
                "one of these too, or omit all of them for a batch without images."
            )
        check_rank(name, given, 3 if vision_features is None else 2, image_index)
        check_object_form(given, image_index, object_boxes, config)
        features = encode(given) if vision_features is None else given.to(dtype)
        if image_index is None:  # (B, S, ...): one row per post
            posts, slots = features.shape[:2]
            image_index = torch.arange(posts * slots, device=features.device).view(posts, slots)
            features = features.flatten(0, 1)
        check_features(name, features, config)
        image_index = on_device_of(image_index, features)
        if config.object_features != REGIONS:
            mask = torch.ones_like(image_index) if image_mask is None else on_device_of(image_mask, features)
            check_slots(mask, image_index, batch_size)
            check_count(mask, config.num_objects)
            mask = mask.bool()
            image_index = image_index.masked_fill(~mask, 0)
            check_index(image_index, features.shape[0])
            return cls.from_features(features, image_index, mask, config)
        boxes = features.new_zeros(batch_size, 0, 4) if object_boxes is None else on_device_of(object_boxes, features)
        check_regions(image_mask, image_index, boxes, batch_size)
        mask = boxes.new_ones(batch_size, 1 + boxes.shape[1]) if image_mask is None else image_mask
        check_count(mask, config.num_objects)
        mask = on_device_of(mask, features).bool()
        image_index = image_index.masked_fill(~mask.any(dim=1, keepdim=True), 0)
        check_index(image_index, features.shape[0])
        check_boxes(boxes, mask[:, 1:])
        boxes = boxes.masked_fill(~mask[:, 1:, None], 0)
        grid = None
        if vision_features is None:
            rows, columns = (side // config.vision_config.patch_size for side in given.shape[-2:])
            grid = (rows, columns)
        return cls.from_regions(features, image_index, mask, boxes, config, grid)

    @classmethod
    def from_features(cls, features: torch.Tensor, index: torch.Tensor, mask: torch.Tensor, config) -> "Images":
        """Splits vision features `(N, c · G + n, d_v)` into pooled tokens and patches."""
        count = config.num_pooled_tokens
        pooled = features[:, :count].unflatten(1, (-1, config.prompt_grid**2))  # (N, c, G, d_v)
        return cls(pooled, features[:, count:], index, mask)

    @classmethod
    def from_regions(
        cls,
        features: torch.Tensor,
        image_index: torch.Tensor,
        mask: torch.Tensor,
        object_boxes: torch.Tensor,
        config,
        grid: tuple[int, int] | None = None,
    ) -> "Images":
        r"""
        Reads objects off the patches of the image of their post. The whole image is the region that covers it.

        Args:
            features (`torch.Tensor`): The patches of every hidden state, `(N, c · n, d_v)`.
            image_index (`torch.Tensor`): The image of each post, `(B, 1)`.
            mask (`torch.Tensor`): `(B, 1 + m)`, true where a post has an image, and each of its objects.
            object_boxes (`torch.Tensor`): `(B, m, 4)`, in fractions of the image.
            config (`TGDIConfig`): The model's configuration.
            grid (`tuple[int, int]`, *optional*): Rows and columns of patches; by default in the proportions of the
                encoder's input.
        """
        patches = features.unflatten(1, (config.num_vision_states, -1))  # (N, c, n, d_v)
        grid = patch_grid(patches.shape[2], config.vision_config) if grid is None else grid
        weights = region_weights(with_whole_image(object_boxes), grid, config.prompt_grid)  # (B, S, G, n)
        weights = weights.to(features.dtype)
        of_slots, of_post = weights.flatten(1, 2), image_index[:, 0]  # (B, S G, n), (B,)
        # State by state, because the patches of all states of as many posts as rows would be c times the memory.
        pooled = torch.stack([of_slots @ state[of_post] for state in patches.unbind(1)], dim=2)  # (B, S G, c, d_v)
        pooled = pooled.unflatten(1, weights.shape[1:3]).transpose(2, 3).flatten(0, 1)  # (B S, c, G, d_v)
        posts, slots = mask.shape
        index = torch.arange(posts * slots, device=features.device).view(posts, slots)
        # The cells of a box have equal areas.
        return cls(pooled, patches[:, -1], index, mask, image_index, weights.mean(dim=2))

    @property
    def patch_index(self) -> torch.Tensor:
        """The P images whose patches are compared with the text, `(B, P)`: those of all slots, or the one of the
        post."""
        return self.index if self.image_index is None else self.image_index

    @property
    def patch_mask(self) -> torch.Tensor:
        """`(B, P)`, true where there is such an image."""
        return self.mask if self.image_index is None else self.mask.any(dim=1, keepdim=True)

    @property
    def patch_weights(self) -> torch.Tensor:
        """The weights of the patches in their mean over the slots, `(B, P · n)`: each slot counts alike. They sum to
        one, or to zero for a post without an image."""
        n = self.patches.shape[1]
        shares = self.mask / self.mask.sum(dim=1, keepdim=True).clamp(min=1)  # (B, S)
        shares = shares.to(self.patches.dtype)
        if self.region_weights is None:
            return (shares / n).repeat_interleave(n, dim=1)
        return (shares.unsqueeze(1) @ self.region_weights).squeeze(1)

    def shifted_negatives(self) -> "Images":
        """Replaces the images of each post, with their regions, by those of the preceding post; the first post gets
        those of the last."""
        rolled = {name: getattr(self, name) for name in ("index", "mask", "image_index", "region_weights")}
        return self._replace(**{name: of.roll(1, dims=0) for name, of in rolled.items() if of is not None})

    def same_as(self, other: "Images") -> torch.Tensor:
        """`(B,)`: whether each post's first image equals that of `other`, compared by patches."""
        own, others = (images.patches[images.patch_index[:, 0]] for images in (self, other))
        # Kernels round rows differently; distinct images differ by about their own magnitude.
        return (own - others).abs().mean(dim=(1, 2)) < 0.01 * own.abs().mean(dim=(1, 2))

"""Posts that have been read, and batches of them with their model inputs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from .head_and_tail import EntityPair
from .image_boxes import Box
from .invalid_post import InvalidPost
from .post_text import Entity


@dataclass
class Post:
    r"""
    A post that has been read.

    Args:
        given: The post as passed to the pipeline.
        where: Names the post in messages.
        number: The place of the post in its stream.
        text: The text that spans of characters index.
        units: The text for the processor: the words if there are any, otherwise `text`.
        entities: All heads and tails, or the entities whose pairs are scored, in text order.
        pairs: Head and tail of each row: as given; or for `entities` every pair in text order, each followed by the
            same pair in reverse order.
        all_pairs: Whether the post lists `entities`, whose pairs are all scored.
        listed: Whether the result is a list of pairs: the post lists `entities`, or all occurrences of head and tail
            are scored.
        rows: The rows of the post in its batch; `None` if the post is invalid.
        error: The reason why the post is invalid.
        added: The caption and the objects that models have added.
        truncated: The parts that were cut in any of its rows: `"text"`, `"caption"`.
    """

    given: Mapping[str, Any]
    where: str
    number: int = 0
    text: str = ""
    units: str | list[str] = ""
    entities: list[Entity] = field(default_factory=list)
    pairs: list[EntityPair] = field(default_factory=list)
    all_pairs: bool = False
    listed: bool = False
    rows: slice | None = None
    error: InvalidPost | None = None
    added: dict[str, Any] = field(default_factory=dict)
    truncated: list[str] = field(default_factory=list)


@dataclass
class PostBatch:
    r"""
    A batch of posts, ready for the model.

    Args:
        posts: The posts, invalid ones included.
        inputs: The model inputs of all rows, see `TGDIProcessor.__call__` with `share_images`; `None` if no post is
            valid.
    """

    posts: list[Post]
    inputs: dict[str, torch.Tensor] | None

    def to(self, device: torch.device) -> "PostBatch":
        """The same batch with its tensors on a device."""
        inputs = self.inputs
        return PostBatch(
            self.posts, None if inputs is None else {name: value.to(device) for name, value in inputs.items()}
        )

    def images(self, row: int) -> dict[int, torch.Tensor]:
        """The pixel values `(3, H, W)` in each slot of a row that contains an image: 0 its image, then its objects."""
        if self.inputs is None or "pixel_values" not in self.inputs:
            return {}
        index = self.inputs["image_index"][row]  # of the image alone where objects are regions of it
        slots = self.inputs["image_mask"][row, : len(index)].nonzero().flatten().tolist()
        return {slot: self.inputs["pixel_values"][index[slot]] for slot in slots}

    def regions(self, row: int) -> dict[int, Box]:
        """The objects of a row that the model reads off its image, by slot: boxes in fractions of what it sees."""
        if self.inputs is None or "object_boxes" not in self.inputs:
            return {}
        slots = self.inputs["image_mask"][row, 1:].nonzero().flatten().tolist()
        return {1 + slot: tuple(self.inputs["object_boxes"][row, slot].tolist()) for slot in slots}

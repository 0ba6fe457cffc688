"""Validates the text inputs of a batch before an encoder fails on them."""

from typing import Any

import torch
from torch import nn

from .devices import can_read_values
from .tgdi_inputs import TextInputs


def read_text(
    prefix: str,
    ids: torch.Tensor | None,
    embeds: torch.Tensor | None,
    mask: torch.Tensor | None,
    types: torch.Tensor | None,
    embeddings: nn.Module,
    embedding_size: int,
) -> TextInputs | None:
    r"""
    Validates the inputs of one of the two texts of a batch.

    Args:
        prefix (`str`): Prefix of the argument names: `""` for T, `"enhanced_"` for T_e.
        ids (`torch.Tensor`, *optional*): Token ids, `(B, L)`.
        embeds (`torch.Tensor`, *optional*): Word embeddings instead of `ids`, `(B, L, embedding_size)`.
        mask, types (`torch.Tensor`, *optional*): Attention mask and segment ids, `(B, L)`.
        embeddings (`nn.Module`): The word embeddings of the text encoder.
        embedding_size (`int`): The width of the word embeddings.

    Returns:
        `TextInputs` or `None`: `None` if no input of the text is given.

    Raises:
        ValueError: Tensors that do not belong together; the message names them and their shapes.
    """
    name_ids, name_embeds = f"{prefix}input_ids", f"{prefix}inputs_embeds"
    further = {f"{prefix}attention_mask": mask, f"{prefix}token_type_ids": types}
    if ids is not None and embeds is not None:
        raise ValueError(f"Expected `{name_ids}` or `{name_embeds}`, got both; leave one out.")
    if embeds is not None:
        name, given = name_embeds, embeds
        _check_embeds(name, embeds, embedding_size)
    elif ids is not None:
        name, given = name_ids, ids
        _check_ids(name, ids)
    else:
        if orphans := [name for name, value in further.items() if value is not None]:
            raise ValueError(f"Got `{orphans[0]}` without `{name_ids}` or `{name_embeds}`; pass one of these too.")
        return None
    if 0 in given.shape[:2]:
        missing = "no posts" if given.shape[0] == 0 else "posts without tokens"
        raise ValueError(
            f"`{name}` has shape {tuple(given.shape)}: {missing}. Expected at least one post and one token."
        )
    for other, value in further.items():
        if value is not None and (not isinstance(value, torch.Tensor) or value.shape != given.shape[:2]):
            raise ValueError(
                f"`{other}` is {_described(value)}, but `{name}` has shape {tuple(given.shape)}; expected "
                f"{tuple(given.shape[:2])}."
            )
    num_embeddings = getattr(embeddings, "num_embeddings", None)
    if ids is not None and num_embeddings is not None:
        _check_range(name, ids, num_embeddings, "of the vocabulary; `resize_to_tokenizer(tokenizer)` extends it")
    return TextInputs(ids, mask, types, embeds)


def check_entities(index: dict[str, torch.Tensor], texts: dict[str, TextInputs]) -> None:
    r"""
    Checks that the opening markers of head and tail are tokens of every text.

    Args:
        index (`dict[str, torch.Tensor]`): `head_index` and `tail_index`, `(B,)` each, by name.
        texts (`dict[str, TextInputs]`): T, and T_e if it differs, by their names in error messages.

    Raises:
        ValueError: The texts have different numbers of posts, an index has another shape or dtype, or, on the CPU, an
            index lies outside a text or on its padding.
    """
    (name, text), *others = texts.items()
    posts = text.mask.shape[0]
    for other, enhanced in others:
        if enhanced.mask.shape[0] != posts:
            raise ValueError(
                f"The {name} has {posts} posts, the {other} {enhanced.mask.shape[0]}; expected equal numbers."
            )
    for argument, positions in index.items():
        if not isinstance(positions, torch.Tensor) or positions.shape != (posts,):
            raise ValueError(
                f"`{argument}` is {_described(positions)}; expected a tensor of shape ({posts},), the position of the "
                "opening marker in each post."
            )
        _check_integers(argument, positions)
        for source, text in texts.items():
            _check_range(argument, positions, text.mask.shape[1], f"of the {source}")
            _check_padding(argument, positions, text.mask, source)


def check_matches(matches: torch.Tensor | None, posts: int) -> None:
    r"""
    Args:
        matches (`torch.Tensor`, *optional*): `image_matches`, `(B,)`.
        posts (`int`): B.

    Raises:
        ValueError: Another shape or, on the CPU, other values than 0 and 1.
    """
    if matches is None:
        return
    if not isinstance(matches, torch.Tensor) or matches.shape != (posts,):
        raise ValueError(
            f"`image_matches` is {_described(matches)}; expected a tensor of shape ({posts},): 1 where the images "
            "belong to the text, 0 where they are those of another post."
        )
    if can_read_values(matches) and not ((matches == 0) | (matches == 1)).all():
        raise ValueError(f"`image_matches` is {matches.tolist()}; expected 1 or 0 per post.")


def _check_ids(name: str, ids: Any) -> None:
    if not isinstance(ids, torch.Tensor) or ids.dim() != 2:
        raise ValueError(f"`{name}` is {_described(ids)}; expected a tensor of shape (B, L).")
    _check_integers(name, ids)


def _check_embeds(name: str, embeds: Any, size: int) -> None:
    if not isinstance(embeds, torch.Tensor) or embeds.dim() != 3 or embeds.shape[2] != size:
        raise ValueError(f"`{name}` is {_described(embeds)}; expected a tensor of shape (B, L, {size}).")
    if not embeds.is_floating_point():
        raise ValueError(f"`{name}` has dtype {embeds.dtype}; expected word embeddings of a floating-point dtype.")


def _check_integers(name: str, tensor: torch.Tensor) -> None:
    if tensor.dtype not in (torch.int32, torch.int64):
        raise ValueError(f"`{name}` has dtype {tensor.dtype}; expected torch.int64 (or torch.int32).")


def _check_range(name: str, tensor: torch.Tensor, count: int, place: str) -> None:
    if not can_read_values(tensor):
        return
    outside = (tensor < 0) | (tensor >= count)
    if outside.any():
        post = int(outside.nonzero()[0, 0])
        raise ValueError(f"`{name}` of post {post} has {int(tensor[outside][0])}, outside 0 to {count - 1} {place}.")


def _check_padding(name: str, positions: torch.Tensor, mask: torch.Tensor, source: str) -> None:
    if not can_read_values(positions, mask):
        return
    padding = mask.gather(1, positions.long().unsqueeze(1)).squeeze(1) == 0
    if padding.any():
        post = int(padding.nonzero()[0, 0])
        raise ValueError(
            f"`{name}` of post {post} is {int(positions[post])}, which is padding in the {source}; expected the "
            "position of the opening marker."
        )


def _described(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    return f"of type {type(value).__name__}"

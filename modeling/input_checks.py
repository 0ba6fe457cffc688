"""Whether the tensors of a batch belong together, before an encoder fails on them."""

import torch

from .tgdi_inputs import TextInputs


def read_text(
    prefix: str,
    ids: torch.Tensor | None,
    embeds: torch.Tensor | None,
    mask: torch.Tensor | None,
    types: torch.Tensor | None,
    embeddings: torch.nn.Module,
    embedding_size: int,
) -> TextInputs | None:
    r"""
    Checks what belongs to one of the two texts of a batch.

    Args:
        prefix (`str`): What stands before the names of the arguments: `""` for T, `"enhanced_"` for T_e.
        ids (`torch.Tensor`, *optional*): `(B, L)`.
        embeds (`torch.Tensor`, *optional*): `(B, L, embedding_size)`, word embeddings in the place of `ids`.
        mask, types (`torch.Tensor`, *optional*): `(B, L)`.
        embeddings (`nn.Module`): The word embeddings of the text encoder.
        embedding_size (`int`): Their width.

    Returns:
        `TextInputs` or `None`: None if nothing of the text is given.

    Raises:
        ValueError: Tensors that do not belong together; the message names them and their shapes.
    """
    name_ids, name_embeds = f"{prefix}input_ids", f"{prefix}inputs_embeds"
    further = {f"{prefix}attention_mask": mask, f"{prefix}token_type_ids": types}
    if ids is not None and embeds is not None:
        raise ValueError(f"Expected `{name_ids}` or `{name_embeds}`, got both; leave one out.")
    if ids is None and embeds is None:
        if orphans := [name for name, value in further.items() if value is not None]:
            raise ValueError(f"There is `{orphans[0]}`, but there are neither `{name_ids}` nor `{name_embeds}`.")
        return None
    name, given = (name_ids, ids) if embeds is None else (name_embeds, embeds)
    expected = "(B, L)" if embeds is None else f"(B, L, {embedding_size})"
    fits = isinstance(given, torch.Tensor) and given.dim() == (2 if embeds is None else 3)
    if not fits or (embeds is not None and given.shape[2] != embedding_size):
        raise ValueError(f"`{name}` is {_shown(given)}; expected a tensor of shape {expected}.")
    if embeds is None:
        _check_integers(name, ids)
    elif not embeds.is_floating_point():
        raise ValueError(f"`{name}` has dtype {embeds.dtype}; expected word embeddings, floating-point numbers.")
    if 0 in given.shape[:2]:
        missing = "no post" if given.shape[0] == 0 else "posts without a single token"
        raise ValueError(
            f"`{name}` has shape {tuple(given.shape)}: {missing}. Expected at least one of each, {expected}."
        )
    for other, value in further.items():
        if value is not None and (not isinstance(value, torch.Tensor) or value.shape != given.shape[:2]):
            raise ValueError(
                f"`{other}` is {_shown(value)}, but `{name}` has shape {tuple(given.shape)}; expected "
                f"{tuple(given.shape[:2])}."
            )
    if embeds is None and hasattr(embeddings, "num_embeddings"):
        _check_range(
            name, ids, embeddings.num_embeddings, "of the vocabulary; `resize_to_tokenizer(tokenizer)` extends it"
        )
    return TextInputs(ids, mask, types, embeds)


def check_entities(index: dict[str, torch.Tensor], texts: dict[str, TextInputs]) -> None:
    r"""
    Checks that the opening markers of head and tail are tokens of every text.

    Args:
        index (`dict`): `head_index` and `tail_index`, `(B,)` each, by name.
        texts (`dict`): T, and T_e where there is one, under what messages call them.

    Raises:
        ValueError: Texts of different numbers of posts, an index of another shape or kind, or, on the CPU, one outside
            of a text or on its padding.
    """
    (name, text), *others = texts.items()
    posts = text.mask.shape[0]
    for other, enhanced in others:
        if enhanced.mask.shape[0] != posts:
            raise ValueError(
                f"The {name} holds {posts} posts, the {other} {enhanced.mask.shape[0]}; expected the same."
            )
    for argument, positions in index.items():
        if not isinstance(positions, torch.Tensor) or positions.shape != (posts,):
            raise ValueError(
                f"`{argument}` is {_shown(positions)}; expected a tensor of shape ({posts},), the position of the "
                "opening marker in each post."
            )
        _check_integers(argument, positions)
        for source, text in texts.items():
            _check_range(argument, positions, text.mask.shape[1], f"of the {source}")
            if has_values(positions, text.mask):
                padding = text.mask.gather(1, positions.long().unsqueeze(1)).squeeze(1) == 0
                if padding.any():
                    row = int(padding.nonzero()[0, 0])
                    raise ValueError(
                        f"`{argument}` of post {row} is {int(positions[row])}, which is padding in the {source}; "
                        "expected the position of the opening marker."
                    )


def _check_integers(name: str, tensor: torch.Tensor) -> None:
    if tensor.dtype not in (torch.int32, torch.int64):
        raise ValueError(f"`{name}` has dtype {tensor.dtype}; expected torch.int64 (or torch.int32).")


def _check_range(name: str, tensor: torch.Tensor, count: int, place: str) -> None:
    if has_values(tensor):
        outside = (tensor < 0) | (tensor >= count)
        if outside.any():
            post = int(outside.nonzero()[0, 0])
            raise ValueError(
                f"`{name}` of post {post} has {int(tensor[outside][0])}, outside 0 to {count - 1} {place}."
            )


def has_values(*tensors: torch.Tensor) -> bool:
    """Whether values can be looked at: not in a graph, nor on an accelerator, which everything would wait for."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return False
    return all(tensor.device.type == "cpu" for tensor in tensors)


def _shown(value) -> str:
    return (
        f"a tensor of shape {tuple(value.shape)}"
        if isinstance(value, torch.Tensor)
        else f"of type {type(value).__name__}"
    )

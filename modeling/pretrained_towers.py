"""Loading the two pretrained encoders of a TGDI model, and adapting them to it."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from transformers import AutoConfig, AutoModel, PreTrainedModel
from transformers.utils.hub import resolve_revision

from .prefix_attention import keep_prefix_when_checkpointing, layers_of
from .recording_hooks import install_recording_hooks

HUB_OPTIONS = ("revision", "token", "cache_dir", "local_files_only")
# Modules behind the last layer of an encoder. They only feed its pooled output, which TGDI does not read.
UNUSED_TAILS = ("pooler", "post_layernorm", "layernorm", "norm", "head")
# Options that must be equal for both encoders.
SHARED_OPTIONS = frozenset({"dtype", "torch_dtype", "attn_implementation"})


def as_text_encoder(encoder: PreTrainedModel) -> PreTrainedModel:
    """Removes the pooler, whose weights would get no gradient, and lets checkpointed layers keep a prefix."""
    encoder.pooler = None  # type: ignore[assignment]  # typed as a tensor or module
    keep_prefix_when_checkpointing(layers_of(encoder))
    return encoder


def freeze_mask_token(tower: PreTrainedModel) -> None:
    """The mask token is only used in masked pre-training: processes that train together would wait for its gradient."""
    mask_token = getattr(getattr(tower, "embeddings", None), "mask_token", None)
    if mask_token is not None:
        mask_token.requires_grad_(False)


def as_vision_tower(tower: PreTrainedModel) -> PreTrainedModel:
    """Removes the modules behind the last layer: TGDI reads the hidden states and normalises them itself."""
    for name in UNUSED_TAILS:
        if isinstance(getattr(tower, name, None), nn.Module):
            setattr(tower, name, None if name == "pooler" else nn.Identity())
    freeze_mask_token(tower)
    install_recording_hooks(tower)
    return tower


class PinnedOptions(NamedTuple):
    r"""
    Loading options whose revision is resolved, so that every file comes from the same commit.

    Args:
        options (`dict[str, Any]`): Keyword arguments of `from_pretrained`.
        commit (`str`, *optional*): The commit; `None` for a folder and if the Hub could not be reached.
    """

    options: dict[str, Any]
    commit: str | None


def pinned_revision(name_or_path: str, options: dict[str, Any]) -> PinnedOptions:
    r"""
    Resolves the revision of a model on the Hub.

    Args:
        name_or_path (`str`): A model on the Hub or a folder.
        options (`dict[str, Any]`): Keyword arguments of `from_pretrained`.

    Returns:
        `PinnedOptions`.
    """
    if Path(name_or_path).is_dir():
        return PinnedOptions(options, None)
    hub = {name: options[name] for name in HUB_OPTIONS if options.get(name) is not None}
    revision = resolve_revision(str(name_or_path), **hub)
    commit = getattr(revision, "resolved", revision)  # a plain string if it could not be resolved
    is_commit = commit is not None and re.fullmatch("[0-9a-f]{40}", commit) is not None
    return PinnedOptions(
        {**options, "revision": revision} if revision is not None else options, commit if is_commit else None
    )


def load_tower(name_or_path: str, modality: str, **kwargs) -> PreTrainedModel:
    r"""
    Loads one pretrained encoder, on its own or from a checkpoint with several (CLIP, SigLIP).

    Args:
        name_or_path (`str`): A model on the Hub or a folder.
        modality (`str`): `"text"` or `"vision"`: which encoder of a checkpoint with several to load.
        kwargs: Passed to `AutoModel.from_pretrained` (`dtype`, `revision`, `token`, `attn_implementation`, ...).

    Raises:
        ValueError: The checkpoint lacks weights of the encoder.
    """
    hub = {name: kwargs[name] for name in HUB_OPTIONS if name in kwargs}
    config = AutoConfig.from_pretrained(name_or_path, trust_remote_code=False, **hub)
    config = getattr(config, f"{modality}_config", config)
    tower, report = AutoModel.from_pretrained(
        name_or_path, config=config, trust_remote_code=False, output_loading_info=True, **kwargs
    )
    missing = [key for key in report["missing_keys"] if key.split(".")[0] not in UNUSED_TAILS]
    if missing:
        raise ValueError(
            f"{name_or_path} lacks {len(missing)} weights of a {type(tower).__name__} (first: {sorted(missing)[0]}), "
            f"which would stay random. Expected a checkpoint of a {modality} encoder of type {config.model_type!r}."
        )
    if Path(name_or_path).is_dir():
        # A local folder must not be published with the configuration; on the Hub its name may be another model's.
        tower.config._name_or_path = ""
    return tower


class PretrainedTowers(NamedTuple):
    r"""
    The two pretrained encoders of a model, and the commits that they were loaded from.

    Args:
        text_encoder, vision_tower (`PreTrainedModel`): As loaded, before `as_text_encoder` and `as_vision_tower`.
        text_revision, vision_revision (`str`, *optional*): See `PinnedOptions.commit`.
    """

    text_encoder: PreTrainedModel
    vision_tower: PreTrainedModel
    text_revision: str | None
    vision_revision: str | None


def load_towers(
    text_name_or_path: str,
    vision_name_or_path: str,
    text_kwargs: dict[str, Any] | None,
    vision_kwargs: dict[str, Any] | None,
    dtype: torch.dtype,
) -> PretrainedTowers:
    r"""
    Loads both encoders in the same dtype; see `TGDIPreTrainedModel.from_text_vision_pretrained`.

    Raises:
        ValueError: A checkpoint lacks weights.
    """
    text_options, text_revision = pinned_revision(text_name_or_path, text_kwargs or {})
    vision_options, vision_revision = pinned_revision(vision_name_or_path, vision_kwargs or {})
    return PretrainedTowers(
        load_tower(text_name_or_path, "text", dtype=dtype, **text_options),
        load_tower(vision_name_or_path, "vision", dtype=dtype, **vision_options),
        text_revision,
        vision_revision,
    )


def check_tower_options(
    text_kwargs: dict[str, Any] | None, vision_kwargs: dict[str, Any] | None, config_kwargs: dict[str, Any]
) -> None:
    """Rejects options of one encoder that apply to both, and revisions given as configuration fields."""
    for name, options in (("text_kwargs", text_kwargs), ("vision_kwargs", vision_kwargs)):
        if shared := SHARED_OPTIONS & set(options or {}):
            raise ValueError(
                f"`{name}` has {', '.join(sorted(shared))}, which the two encoders have in common: pass `dtype` and "
                "`attn_implementation` as separate arguments."
            )
        field = name.replace("kwargs", "revision")
        if field in config_kwargs:
            raise ValueError(
                f"`{field}` records the commit that was loaded. To load the revision {config_kwargs[field]!r} pass "
                f"`{name}={{'revision': {config_kwargs[field]!r}}}`."
            )


def as_dtype(dtype: torch.dtype | str) -> torch.dtype:
    """Returns the `torch.dtype` of a name such as `"bfloat16"`."""
    found = getattr(torch, dtype, dtype) if isinstance(dtype, str) else dtype
    if not isinstance(found, torch.dtype):
        raise ValueError(f"`dtype` is {found!r}; expected the dtype of both encoders, such as 'float32' or 'bfloat16'.")
    return found

"""Preparing and loading the two encoders that a TGDI model is built around."""

import copy
import re
from pathlib import Path
from typing import Any

from torch import nn
from transformers import AutoConfig, AutoModel, PreTrainedModel
from transformers.utils.hub import resolve_revision
from transformers.utils.output_capturing import _CAN_RECORD_REGISTRY, maybe_install_capturing_hooks

from .prefix_attention import keep_prefix_when_checkpointing

HUB_OPTIONS = ("revision", "token", "cache_dir", "local_files_only")
# What stands behind the last layer of an encoder and feeds only its pooled output, which TGDI does not use.
UNUSED_TAILS = ("pooler", "post_layernorm", "layernorm", "norm", "head")


def as_text_encoder(encoder: PreTrainedModel) -> PreTrainedModel:
    """Takes away the pooler, whose weights would never see a gradient, and lets checkpointed layers keep a prefix."""
    encoder.pooler = None
    keep_prefix_when_checkpointing(encoder.encoder.layer)
    return encoder


def as_vision_tower(tower: PreTrainedModel) -> PreTrainedModel:
    """Takes away the parts behind the last layer: TGDI reads the hidden states and normalises them itself."""
    for name in UNUSED_TAILS:
        if isinstance(getattr(tower, name, None), nn.Module):
            setattr(tower, name, None if name == "pooler" else nn.Identity())
    mask_token = getattr(tower.embeddings, "mask_token", None)
    if mask_token is not None:  # of masked pre-training; nothing is masked here
        mask_token.requires_grad_(False)
    install_recording_hooks(tower)
    return tower


def install_recording_hooks(tower: PreTrainedModel) -> None:
    """The tower's hidden states come from hooks that are set up behind a lock, which `torch.compile` cannot trace."""
    for module in tower.modules():
        if isinstance(module, PreTrainedModel):
            maybe_install_capturing_hooks(module)


def register_recorders(model: PreTrainedModel) -> None:
    r"""
    Tells transformers again which outputs the encoders of `model` can record. It learns that while a model is built,
    and an unpickled one is not: in a process that has built none of its class hidden states would be missing.
    """
    for module in model.modules():
        if isinstance(module, PreTrainedModel):
            _CAN_RECORD_REGISTRY[module] = module._can_record_outputs


def without_recording_hooks(module: nn.Module) -> nn.Module:
    """The same module, weights shared, without those hooks: they are closures, which can't be pickled."""
    bare = object.__new__(type(module))
    bare.__dict__ = copy.copy(module.__dict__)
    bare.__dict__.pop("_output_capturing_hooks_installed", None)
    bare._forward_hooks = type(module._forward_hooks)(
        (key, hook)
        for key, hook in module._forward_hooks.items()
        if getattr(hook, "__module__", None) != maybe_install_capturing_hooks.__module__
    )
    bare._modules = {name: child and without_recording_hooks(child) for name, child in module._modules.items()}
    return bare


def pinned_revision(name_or_path: str, options: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    r"""
    Args:
        name_or_path (`str`): Model on the Hub or folder.
        options (`dict`): Keyword arguments for `from_pretrained`.

    Returns:
        The same with the revision resolved, so that every file comes from one commit, and that commit; `None` for a
        folder, and where the Hub couldn't be asked.
    """
    if Path(name_or_path).is_dir():
        return options, None
    hub = {name: options[name] for name in HUB_OPTIONS if options.get(name) is not None}
    revision = resolve_revision(str(name_or_path), **hub)
    commit = getattr(revision, "resolved", revision)  # a string if it was not resolved
    is_commit = commit is not None and re.fullmatch("[0-9a-f]{40}", commit) is not None
    return {**options, "revision": revision} if revision is not None else options, commit if is_commit else None


def load_tower(name_or_path: str, modality: str, **kwargs) -> PreTrainedModel:
    r"""
    Loads one pretrained encoder, also out of a checkpoint that holds several (CLIP, SigLIP).

    Args:
        name_or_path (`str`): Model on the Hub or folder.
        modality (`str`): `"text"` or `"vision"`: which sub-model to take where there are several.
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
        # The name would go out into the world with the configuration, and may be another model's on the Hub.
        tower.config._name_or_path = ""
    return tower

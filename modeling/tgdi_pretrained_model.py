"""The base class of the TGDI models: building from pretrained encoders, saving, pickling, freezing, checkpointing."""

from typing import Any, cast

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from .attention_support import check_attn_implementation, check_implementation_of
from .configuration_presets import preset_fields
from .matching_gate import GateProjection, MatchingGate
from .pretrained_towers import (
    as_dtype,
    as_text_encoder,
    as_vision_tower,
    check_tower_options,
    freeze_mask_token,
    load_towers,
)
from .recording_hooks import install_recording_hooks, register_recorders, without_recording_hooks
from .relation_configuration import RelationConfig
from .token_embeddings import resize_to_tokenizer


class TGDIPreTrainedModel(PreTrainedModel):
    """Base class of the TGDI models: building from two pretrained encoders, loading and saving."""

    config: RelationConfig
    config_class: type[RelationConfig]
    base_model_prefix = "tgdi"
    main_input_name = "input_ids"
    input_modalities = ("image", "text")  # type: ignore[assignment]  # a tuple in the models of transformers, too
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    # transformers adds the blocks of the two encoders.
    _no_split_modules = ["VisualPrompts", "TextSelfAttention", "MatchingGate", "PrefixProjection"]

    def __init__(self, config: RelationConfig, *inputs, **kwargs):
        config.validate()  # fields may have been changed since it was created
        # Sub-configurations can be changed without notice to the configuration that holds them.
        for part in ("text_config", "vision_config"):
            check_implementation_of(part, getattr(getattr(config, part, None), "_attn_implementation", None))
        super().__init__(config, *inputs, **kwargs)

    def set_attn_implementation(self, attn_implementation: str | dict, *args, **kwargs):
        r"""
        As in transformers, but the text encoder supports eager and sdpa attention only. If any part of the request is
        rejected, nothing is changed.

        Raises:
            ValueError: An implementation that TGDI does not support, or an unknown sub-configuration.
        """
        check_attn_implementation(attn_implementation)
        super().set_attn_implementation(attn_implementation, *args, **kwargs)

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, MatchingGate | GateProjection):
            module.init_weights()

    @classmethod
    def from_text_vision_pretrained(
        cls,
        text_name_or_path: str,
        vision_name_or_path: str,
        tokenizer: PreTrainedTokenizerBase,
        text_kwargs: dict[str, Any] | None = None,
        vision_kwargs: dict[str, Any] | None = None,
        dtype: torch.dtype | str = torch.float32,
        preset: str = "default",
        freeze_vision: bool = True,
        **config_kwargs,
    ):
        r"""
        Builds a model from two pretrained encoders. The text-oriented layers start from the top layers of the text
        encoder, all other new modules from random weights: seed the run first (`transformers.set_seed`).

        Args:
            text_name_or_path (`str`): A BERT-shaped encoder, on the Hub or in a folder.
            vision_name_or_path (`str`): A vision transformer, on its own or as part of a CLIP or SigLIP checkpoint.
            tokenizer (`PreTrainedTokenizerBase`): The tokenizer of the model's processor, to which `TGDIProcessor` has
                added the entity markers; the word embeddings are extended to its size.
            text_kwargs, vision_kwargs (`dict[str, Any]`, *optional*): Options for loading the respective encoder:
                `revision`, `token`, `cache_dir`, `local_files_only`, ... The configuration records the commits that
                were loaded (`text_revision`, `vision_revision`).
            dtype (`torch.dtype` or `str`, *optional*, defaults to `torch.float32`): Dtype of all weights.
            preset (`str`, *optional*, defaults to `"default"`): See `TGDIConfig.from_preset`.
            freeze_vision (`bool`, *optional*, defaults to `True`): Whether the vision encoder keeps its weights, see
                `freeze_vision_encoder`. A model that is loaded later is not frozen.
            config_kwargs: Fields of `TGDIConfig` (`num_labels`, `id2label`, `fusion_lambda`, ...), and
                `attn_implementation`.

        Raises:
            ValueError: The tokenizer lacks the entity markers, a checkpoint lacks weights, or an option is unknown.
        """
        check_tower_options(text_kwargs, vision_kwargs, config_kwargs)
        dtype = as_dtype(dtype)
        towers = load_towers(text_name_or_path, vision_name_or_path, text_kwargs, vision_kwargs, dtype)
        config = cls.config_class(
            **{**preset_fields(preset), **config_kwargs},
            text_config=towers.text_encoder.config.to_dict(),
            vision_config=towers.vision_tower.config.to_dict(),
            text_revision=towers.text_revision,
            vision_revision=towers.vision_revision,
        )
        model = cls(config).to(dtype)  # type: ignore[arg-type]  # transformers wraps `nn.Module.to` without its types
        body: Any = model.base_model
        body.text_encoder.load_state_dict(as_text_encoder(towers.text_encoder).state_dict())
        if config.uses_vision:
            body.vision_tower.load_state_dict(as_vision_tower(towers.vision_tower).state_dict())
        if config.use_text_oriented_interaction:
            body.text_oriented.init_from(towers.text_encoder)
        model.resize_to_tokenizer(tokenizer)
        if freeze_vision:
            model.freeze_vision_encoder()
        return model.eval()

    def save_pretrained(self, save_directory, *args, **kwargs):
        r"""
        As in transformers, with the weights under their names in the model. Some vision encoders on the Hub use older
        names; under these, `Trainer` would silently skip the weights when it reads the file of the best model as is.
        """
        kwargs.setdefault("save_original_format", False)
        super().save_pretrained(save_directory, *args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        # pickle and `copy.deepcopy` read `_modules` like any other attribute.
        encoders = {name: self._modules.get(name) for name in ("text_encoder", "vision_tower")}
        bare = {name: without_recording_hooks(encoder) for name, encoder in encoders.items() if encoder is not None}
        return {**self.__dict__, "_modules": {**self._modules, **bare}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        register_recorders(self)
        tower = self._modules.get("vision_tower")
        if tower is not None:
            install_recording_hooks(cast(PreTrainedModel, tower))

    def resize_to_tokenizer(self, tokenizer: PreTrainedTokenizerBase) -> None:
        r"""
        Extends the word embeddings to every token of `tokenizer`; existing rows are kept and none is removed. New rows
        are drawn from the mean and standard deviation of the existing ones.

        Raises:
            ValueError: The tokenizer lacks the entity markers.
        """
        resize_to_tokenizer(self, tokenizer)

    def freeze_vision_encoder(self) -> None:
        """Excludes the vision encoder from training: no gradients, no dropout, no backward pass through it."""
        tower = self._vision_tower()
        if tower is not None:
            tower.requires_grad_(False).eval()

    def train(self, mode: bool = True):
        super().train(mode)
        tower = self._vision_tower()
        if tower is not None:
            freeze_mask_token(tower)  # `from_pretrained`, which ends with `eval`, makes every parameter trainable
            if not any(parameter.requires_grad for parameter in tower.parameters()):
                tower.eval()
        return self

    def _vision_tower(self) -> PreTrainedModel | None:
        return cast("PreTrainedModel | None", self.base_model.vision_tower)

    def activation_checkpointing_enable(  # type: ignore[override]  # the other parameters depend on the version
        self, activation_checkpointing_kwargs: dict | None = None, **kwargs
    ):
        """As in transformers, but rejects reentrant checkpointing, which would cut off the gradients of the prompts."""
        if (activation_checkpointing_kwargs or {}).get("use_reentrant", False):
            raise ValueError(
                "Reentrant activation checkpointing passes no gradient to the prefixes of a layer. Use "
                "`activation_checkpointing_kwargs={'use_reentrant': False}`, which is the default."
            )
        super().activation_checkpointing_enable(
            {"use_reentrant": False, **(activation_checkpointing_kwargs or {})}, **kwargs
        )

    def get_input_embeddings(self) -> nn.Module:
        return cast(PreTrainedModel, self.base_model.text_encoder).get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        cast(PreTrainedModel, self.base_model.text_encoder).set_input_embeddings(value)

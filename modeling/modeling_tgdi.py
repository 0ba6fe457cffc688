"""TGDI: Text-Guided Dual Interaction for multimodal relation extraction in social media (ECML-PKDD 2025)."""

import torch
from torch import nn
from transformers import AutoModel, PreTrainedModel
from transformers.processing_utils import Unpack
from transformers.utils import TransformersKwargs, can_return_tuple

from .attention_support import check_attn_implementation, check_implementation_of
from .blank_images import blank_image, trains_with_other_processes
from .branch_consistency import branch_divergence
from .classification_loss import classification_loss, labels_of_step
from .configuration_tgdi import ENTITY_MARKERS, TGDIConfig
from .forward_arguments import refuse_unknown_arguments
from .input_checks import check_entities, read_text
from .inverse_relations import fold_inverses
from .matching_gate import MatchingGate, TextSelfAttention, matching_loss
from .output_selection import keep_selected, selected_layers
from .prefix_attention import CACHE, PrefixCache, attention_bias
from .pretrained_towers import (
    as_text_encoder,
    as_vision_tower,
    install_recording_hooks,
    load_tower,
    pinned_revision,
    register_recorders,
    without_recording_hooks,
)
from .text_oriented import EncoderReference, TextOrientedInteraction
from .tgdi_inputs import Images, TextInputs, on_device_of
from .tgdi_outputs import TGDIModelOutput, TGDIRelationExtractionOutput
from .visual_prompts import VisualPrompts, vision_features


class TGDIPreTrainedModel(PreTrainedModel):
    """What both TGDI models share: loading, saving, building from two pretrained encoders."""

    config: TGDIConfig
    base_model_prefix = "tgdi"
    main_input_name = "input_ids"
    input_modalities = ("image", "text")
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    # The names of the encoders' own blocks are added to these.
    _no_split_modules = ["VisualPrompts", "TextSelfAttention", "MatchingGate", "PrefixProjection"]

    def __init__(self, config: TGDIConfig, *inputs, **kwargs):
        config.validate()  # it may have been changed since it was made
        # A sub-configuration can be changed without the configuration that holds it.
        for part in ("text_config", "vision_config"):
            check_implementation_of(part, getattr(getattr(config, part, None), "_attn_implementation", None))
        super().__init__(config, *inputs, **kwargs)

    def set_attn_implementation(self, attn_implementation: str | dict, *args, **kwargs):
        r"""
        As in transformers; the text encoder runs eager or sdpa attention only. Nothing is changed if a part of the
        request is refused.

        Raises:
            ValueError: An implementation that TGDI does not support, or a sub-configuration that there is not.
        """
        check_attn_implementation(attn_implementation)
        super().set_attn_implementation(attn_implementation, *args, **kwargs)

    @classmethod
    def from_text_vision_pretrained(
        cls,
        text_name_or_path: str,
        vision_name_or_path: str,
        tokenizer,
        text_kwargs: dict | None = None,
        vision_kwargs: dict | None = None,
        dtype: torch.dtype | str = torch.float32,
        **config_kwargs,
    ):
        r"""
        Builds a model from two pretrained encoders; what connects them starts from random weights, the text-oriented
        layers from the text encoder's top ones. Seed the run first (`transformers.set_seed`).

        Args:
            text_name_or_path (`str`): A BERT-shaped encoder, on the Hub or in a folder.
            vision_name_or_path (`str`): A vision transformer, alone or as part of a CLIP or SigLIP checkpoint.
            tokenizer: The tokenizer of the model's processor, entity markers added (`TGDIProcessor` adds them); the
                word embeddings grow to its size.
            text_kwargs, vision_kwargs (`dict`, *optional*): For loading the one or the other encoder: `revision`,
                `token`, `cache_dir`, `local_files_only`, ... The commits that were loaded are in the configuration
                (`text_revision`, `vision_revision`).
            dtype (`torch.dtype` or `str`, *optional*, defaults to `torch.float32`): Type of all weights.
            config_kwargs: Fields of `TGDIConfig` (`num_labels`, `id2label`, `fusion_lambda`, ...), and
                `attn_implementation`.

        Raises:
            ValueError: The tokenizer lacks the entity markers, a checkpoint lacks weights, or there is no such option.
        """
        for name, options in (("text_kwargs", text_kwargs), ("vision_kwargs", vision_kwargs)):
            if of_both := {"dtype", "torch_dtype", "attn_implementation"} & set(options or {}):
                raise ValueError(
                    f"`{name}` has {', '.join(sorted(of_both))}, which the two encoders have in common: pass `dtype` "
                    "and `attn_implementation` as arguments of their own."
                )
            record = name.replace("kwargs", "revision")
            if record in config_kwargs:
                raise ValueError(
                    f"`{record}` records what was loaded. To load the revision {config_kwargs[record]!r} pass "
                    f"`{name}={{'revision': {config_kwargs[record]!r}}}`."
                )
        dtype = getattr(torch, dtype, dtype) if isinstance(dtype, str) else dtype
        if not isinstance(dtype, torch.dtype):
            raise ValueError(f"`dtype` is {dtype!r}; expected one such as 'float32' or 'bfloat16', for both encoders.")
        text_kwargs, text_revision = pinned_revision(text_name_or_path, text_kwargs or {})
        vision_kwargs, vision_revision = pinned_revision(vision_name_or_path, vision_kwargs or {})
        text_encoder = load_tower(text_name_or_path, "text", dtype=dtype, **text_kwargs)
        vision_tower = load_tower(vision_name_or_path, "vision", dtype=dtype, **vision_kwargs)
        config = cls.config_class(
            text_config=text_encoder.config.to_dict(),
            vision_config=vision_tower.config.to_dict(),
            text_revision=text_revision,
            vision_revision=vision_revision,
            **config_kwargs,
        )
        model = cls(config).to(dtype)
        model.base_model.text_encoder.load_state_dict(as_text_encoder(text_encoder).state_dict())
        if config.uses_vision:
            model.base_model.vision_tower.load_state_dict(as_vision_tower(vision_tower).state_dict())
        if config.use_text_oriented_interaction:
            model.base_model.text_oriented.init_from(text_encoder)
        model.resize_to_tokenizer(tokenizer)
        return model.eval()

    def save_pretrained(self, save_directory, *args, **kwargs):
        r"""
        As in transformers, with the weights under the names they have in the model. The older names that some vision
        encoders have on the Hub mean nothing in a TGDI checkpoint, and `Trainer`, which reads the best model's file
        back as it stands, would pass over weights saved under them.
        """
        kwargs.setdefault("save_original_format", False)
        super().save_pretrained(save_directory, *args, **kwargs)

    def __getstate__(self) -> dict:
        # `_modules` is a plain attribute to pickle and to `copy.deepcopy`.
        encoders = {name: self._modules.get(name) for name in ("text_encoder", "vision_tower")}
        bare = {name: without_recording_hooks(encoder) for name, encoder in encoders.items() if encoder is not None}
        return {**self.__dict__, "_modules": {**self._modules, **bare}}

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        register_recorders(self)
        if self._modules.get("vision_tower") is not None:
            install_recording_hooks(self.vision_tower)

    def resize_to_tokenizer(self, tokenizer) -> None:
        r"""
        Gives every token of `tokenizer` an embedding; rows that exist are kept, none is taken away. New ones are drawn
        around the mean of the others with their spread in each dimension, so that the markers differ from each other
        as words do.

        Raises:
            ValueError: The tokenizer lacks the entity markers.
        """
        vocabulary = tokenizer.get_vocab()
        missing = [marker for marker in ENTITY_MARKERS if marker not in vocabulary]
        if missing:
            raise ValueError(
                f"The tokenizer lacks the entity markers {', '.join(missing)}. Take the tokenizer of a processor, "
                "which has them: `processor = TGDIProcessor(image_processor, tokenizer)`, then `processor.tokenizer`."
            )
        known = self.get_input_embeddings().num_embeddings
        new = list(range(known, len(tokenizer)))
        if new:
            # The usual mean resizing makes new rows that are equal but for a thousandth: head would look like tail.
            self.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        rows = self.get_input_embeddings().weight.data
        markers = [vocabulary[marker] for marker in ENTITY_MARKERS]
        if not new and len(rows[markers].unique(dim=0)) < len(markers):  # of a padded vocabulary, which nobody trained
            new = markers
        if new:
            mean, spread = rows[:known].float().mean(0), rows[:known].float().std(0)
            rows[new] = (mean + spread * torch.randn_like(rows[new], dtype=torch.float32)).to(rows.dtype)

    def freeze_vision_encoder(self) -> None:
        """Takes the vision encoder out of training: no gradients, no dropout, and no backward pass through it."""
        if self.base_model.vision_tower is not None:
            self.base_model.vision_tower.requires_grad_(False).eval()

    def train(self, mode: bool = True):
        super().train(mode)
        tower = self.base_model.vision_tower
        if tower is not None and not any(p.requires_grad for p in tower.parameters()):
            tower.eval()
        return self

    def activation_checkpointing_enable(self, activation_checkpointing_kwargs: dict | None = None, **kwargs):
        """As in transformers, but refuses reentrant checkpointing, which would cut the prompts' gradients."""
        if (activation_checkpointing_kwargs or {}).get("use_reentrant", False):
            raise ValueError(
                "Reentrant activation checkpointing passes no gradient to the prefixes of a layer. Use "
                "`activation_checkpointing_kwargs={'use_reentrant': False}`, which is the default."
            )
        super().activation_checkpointing_enable(
            {"use_reentrant": False, **(activation_checkpointing_kwargs or {})}, **kwargs
        )

    def get_input_embeddings(self) -> nn.Module:
        return self.base_model.text_encoder.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.base_model.text_encoder.set_input_embeddings(value)


class TGDIModel(TGDIPreTrainedModel):
    r"""
    The two encoders and the dual interaction between them, without a head.

    Args:
        config (`TGDIConfig`): What to build. Parts that its switches turn off are not built.
    """

    def __init__(self, config: TGDIConfig):
        super().__init__(config)
        self.vision_tower = self.visual_prompts = self.self_attention = self.matching_gate = self.text_oriented = None
        self.text_encoder = as_text_encoder(AutoModel.from_config(config.text_config))
        if config.uses_vision:
            self.vision_tower = as_vision_tower(AutoModel.from_config(config.vision_config))
        if config.use_cross_modal_interaction:
            self.visual_prompts = VisualPrompts(config)
        if config.use_matching_gate or config.use_text_oriented_interaction:
            self.self_attention = TextSelfAttention(config)
        if config.use_matching_gate:
            self.matching_gate = MatchingGate(config)
        if config.use_text_oriented_interaction:
            self.text_oriented = TextOrientedInteraction(config, self.text_encoder)
        self.post_init()

    def get_vision_features(self, pixel_values: torch.Tensor) -> torch.Tensor:
        r"""
        All that the model takes from images, to be computed once and given to `forward` as `vision_features`.

        Args:
            pixel_values (`torch.Tensor`): `(..., 3, H, W)`, any number of leading dimensions, none included.

        Returns:
            `torch.Tensor`: `(..., c · prompt_grid ** 2 + n, d_v)`: the pooled patches of each of the c hidden states,
            then the n patches of the last one. Class and register tokens are left out.
        """
        if self.vision_tower is None:
            raise ValueError("This model looks at no image: both of its visual mechanisms are switched off.")
        if pixel_values.dim() < 3 or 0 in pixel_values.shape:
            raise ValueError(
                f"`pixel_values` has shape {tuple(pixel_values.shape)}; expected (..., 3, H, W), at least one image."
            )
        check_implementation_of("vision_config", self.vision_tower.config._attn_implementation)
        images = pixel_values.reshape(-1, *pixel_values.shape[-3:])  # (N, 3, H, W)
        features = vision_features(self.vision_tower, images, self.config.prompt_grid)  # (N, c G + n, d_v)
        return features.view(*pixel_values.shape[:-3], *features.shape[1:])

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.LongTensor | None = None,
        enhanced_input_ids: torch.LongTensor | None = None,
        enhanced_attention_mask: torch.Tensor | None = None,
        enhanced_token_type_ids: torch.LongTensor | None = None,
        head_index: torch.LongTensor | None = None,
        tail_index: torch.LongTensor | None = None,
        pixel_values: torch.FloatTensor | None = None,
        vision_features: torch.FloatTensor | None = None,
        image_mask: torch.Tensor | None = None,
        image_index: torch.LongTensor | None = None,
        output_hidden_states: bool | int | list[int] | None = None,
        output_attentions: bool | None = None,
        num_items_in_batch: torch.Tensor | int | None = None,
        inputs_embeds: torch.FloatTensor | None = None,
        enhanced_inputs_embeds: torch.FloatTensor | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> TGDIModelOutput:
        r"""
        Args:
            input_ids, attention_mask, token_type_ids (`torch.Tensor`): T, `(B, L)`, entity markers in place.
            enhanced_input_ids, enhanced_attention_mask, enhanced_token_type_ids (`torch.Tensor`, *optional*):
                T_e, `(B, L_e)`: T followed by the caption. Absent: T_e is T.
            head_index, tail_index (`torch.LongTensor`): `(B,)`, the opening markers of head and tail in T and T_e.
            pixel_values (`torch.FloatTensor`, *optional*): The images of each post, `(B, S, 3, H, W)`, or with
                `image_index` the distinct images of the batch, `(N, 3, H, W)`. Absent: no post has an image.
            vision_features (`torch.FloatTensor`, *optional*): `get_vision_features(pixel_values)`, instead of it.
            image_mask (`torch.Tensor`, *optional*): `(B, S)`, nonzero where there is an image; all by default.
            image_index (`torch.LongTensor`, *optional*): `(B, S)`, which distinct image stands where.
            output_hidden_states (`bool`, `int` or `list[int]`, *optional*): Return the hidden states of both passes.
                Numbers select states in each pass, negative ones from its end; the others are `None`.
            output_attentions (`bool`, *optional*): Return the attention weights of both passes; needs
                `attn_implementation="eager"`.
            inputs_embeds, enhanced_inputs_embeds (`torch.FloatTensor`, *optional*): In the place of `input_ids` or
                `enhanced_input_ids`, for attribution methods: `get_input_embeddings()(ids)`, `(B, L, embedding_size)`
                and `(B, L_e, embedding_size)`. The encoder adds positions and segments.
            num_items_in_batch (*optional*): Without effect; `Trainer` passes it to every model.

        Returns:
            `TGDIModelOutput`.

        Raises:
            TypeError: An argument that is none of these.
            ValueError: Tensors that do not belong together; the message names them and their shapes.
        """
        refuse_unknown_arguments(self.forward, kwargs)
        if head_index is None or tail_index is None:
            raise ValueError(
                "`head_index` and `tail_index` are needed: the positions of the entities' opening markers."
            )
        record = self._recording(output_hidden_states, output_attentions)
        embeddings, width = self.get_input_embeddings(), self.config.embedding_size
        text = read_text("", input_ids, inputs_embeds, attention_mask, token_type_ids, embeddings, width)  # T
        if text is None:
            raise ValueError("`input_ids` are needed, or `inputs_embeds` in their place.")
        enhanced = read_text(  # T_e
            "enhanced_", enhanced_input_ids, enhanced_inputs_embeds, enhanced_attention_mask, enhanced_token_type_ids,
            embeddings, width,
        )  # fmt: skip
        enhanced = text if enhanced is None else enhanced
        check_entities(
            {"head_index": head_index, "tail_index": tail_index},
            {"text": text} if enhanced is text else {"text": text, "enhanced text": enhanced},
        )
        posts = text.mask.shape[0]
        images = self._images(pixel_values, vision_features, image_mask, image_index, batch_size=posts)

        prompts, vision_gates = self._visual_prompts(images)  # Eq. 1-3, 5
        alike = enhanced is text and prompts is None  # without prompts and captions both passes are one and the same
        plain = h_s = None
        if self.text_oriented is not None or (self.matching_gate is not None and images is not None):
            plain = self._encode(text, **(record if alike else {}))  # H: (B, L, d)
            h_s = self.self_attention(plain.last_hidden_state, text.mask)  # Eq. 7
        gate, similarity = self._matching_gate(images, h_s, text.mask)  # Eq. 8-10: Text Modulated Matching Gate
        if self.config.gate_visual_prompts and prompts is not None:
            prompts.weigh_values(gate)
        # Eq. 4, 6: Cross-Modal Interaction
        cross_modal = plain if alike and plain is not None else self._encode(enhanced, prompts, **record)
        f_1 = cross_modal.last_hidden_state  # (B, L_e, d)
        f_2 = f_1 if gate is None else on_device_of(gate, f_1).unsqueeze(1) * f_1  # Eq. 11
        mismatch = self._matching_loss(gate, images, h_s, text.mask)
        f_3 = toi_hidden_states = toi_attentions = None
        if self.text_oriented is not None:  # Eq. 12, 13: Text-Oriented Interaction
            f_3, toi_hidden_states, toi_attentions = self.text_oriented(
                h_s, text.mask, f_2, enhanced.mask, EncoderReference(self.text_encoder), **record
            )
        entity_states = self._fuse(f_1, f_2, f_3, head_index, tail_index)  # Eq. 14

        return TGDIModelOutput(
            entity_states=entity_states,
            matching_gate=gate,
            similarity=similarity,
            vision_gates=vision_gates,
            matching_loss=mismatch,
            cross_modal_last_hidden_state=f_1,
            text_oriented_last_hidden_state=f_3,
            # Not every transformers that this runs with selects by itself.
            cross_modal_hidden_states=keep_selected(cross_modal.hidden_states, record["output_hidden_states"]),
            cross_modal_attentions=cross_modal.attentions,
            text_oriented_hidden_states=toi_hidden_states,
            text_oriented_attentions=toi_attentions,
        )

    def _recording(self, output_hidden_states, output_attentions) -> dict:
        """What to record of both interaction passes, where the configuration speaks for a caller who does not."""
        if output_hidden_states is None:
            output_hidden_states = self.config.output_hidden_states
        if output_attentions is None:
            output_attentions = self.config.output_attentions or False
        if not isinstance(output_attentions, bool):
            raise ValueError(
                f"`output_attentions` is {output_attentions!r}; expected True or False: the attention weights of all "
                "layers, or none."
            )
        implementation = self.text_encoder.config._attn_implementation
        check_implementation_of("text_config", implementation)  # configurations can be changed behind the model's back
        if output_attentions and implementation != "eager":
            raise ValueError(
                f"Attention weights exist only in eager attention, this model runs {implementation!r}: call "
                "`model.set_attn_implementation('eager')`, or leave out `output_attentions`."
            )
        states = selected_layers(output_hidden_states, self.config.text_config.num_hidden_layers + 1)
        return {"output_hidden_states": states, "output_attentions": output_attentions}

    def _images(self, pixel_values, vision_features, image_mask, image_index, batch_size: int) -> Images | None:
        """Checks the visual inputs and brings their forms to one: distinct images and an index into them."""
        if self.vision_tower is None:
            return None
        if pixel_values is None and vision_features is None:
            if image_mask is not None or image_index is not None:
                raise ValueError(
                    "There is an `image_mask` or `image_index`, but there are neither `pixel_values` nor "
                    "`vision_features`: give these, or leave out the others where no post has an image."
                )
            return self._blank_images(batch_size) if trains_with_other_processes(self) else None
        if image_index is not None and getattr(self, "_is_replica", False):
            raise ValueError(
                "`nn.DataParallel` cuts a batch into pieces, which can't share images by `image_index`. Start one "
                "process a GPU with `accelerate launch`, or use `TGDICollator(processor, share_images=False)`."
            )
        if pixel_values is not None and vision_features is not None:
            raise ValueError("Expected `pixel_values` or `vision_features`, got both; leave one out.")
        name, given = (
            ("pixel_values", pixel_values) if vision_features is None else ("vision_features", vision_features)
        )
        trailing = 3 if vision_features is None else 2
        expected_dims = trailing + (1 if image_index is not None else 2)
        if given.dim() != expected_dims:
            raise ValueError(
                f"`{name}` has shape {tuple(given.shape)}; expected {expected_dims} dimensions "
                f"{'with' if image_index is not None else 'without'} `image_index`: one row a post with its images "
                "in the second dimension, or the distinct images of the batch and an `image_index`."
            )
        if 0 in given.shape:
            raise ValueError(
                f"`{name}` has shape {tuple(given.shape)}; expected at least one image, or no `{name}` where no post "
                "has an image."
            )
        features = self.get_vision_features(given) if vision_features is None else given.to(self.dtype)
        if image_index is None:
            rows, slots = features.shape[:2]
            image_index = torch.arange(rows * slots, device=features.device).view(rows, slots)
            features = features.flatten(0, 1)
        if image_mask is None:
            image_mask = torch.ones_like(image_index)
        if image_index.shape != image_mask.shape or image_index.shape[0] != batch_size:
            raise ValueError(
                f"The images of {batch_size} posts need one `image_mask` and one `image_index` entry a slot; got "
                f"{tuple(image_mask.shape)} for the mask and {tuple(image_index.shape)} for the images."
            )
        if image_index.shape[1] > 1 + self.config.num_objects:
            raise ValueError(
                f"Got {image_index.shape[1]} images a post; this model has `num_objects={self.config.num_objects}`, "
                f"so at most {1 + self.config.num_objects} with the whole image."
            )
        image_mask = on_device_of(image_mask, features).bool()
        image_index = on_device_of(image_index, features).masked_fill(~image_mask, 0)
        self._check_index(image_index, features.shape[0])
        num_pooled = self._num_pooled
        if features.shape[1] <= num_pooled or features.shape[2] != self.config.vision_config.hidden_size:
            raise ValueError(
                f"`{name}` gave features of shape {tuple(features.shape)}; expected (N, more than {num_pooled}, "
                f"{self.config.vision_config.hidden_size}). Features come from `get_vision_features` of this model."
            )
        return self._from_features(features, image_index, image_mask)

    @property
    def _num_pooled(self) -> int:
        """How many of the features of an image are pooled ones, c · G; the others are patches."""
        return (self.config.vision_config.num_hidden_layers + 1) * self.config.prompt_grid**2

    def _from_features(self, features: torch.Tensor, index: torch.Tensor, mask: torch.Tensor) -> Images:
        pooled = features[:, : self._num_pooled].unflatten(1, (-1, self.config.prompt_grid**2))  # (N, c, G, d_v)
        return Images(pooled, features[:, self._num_pooled :], index, mask)

    def _blank_images(self, batch_size: int) -> Images:
        """One image that no post has: every visual weight gets a gradient, and each of them is zero."""
        if any(parameter.requires_grad for parameter in self.vision_tower.parameters()):
            features = self.get_vision_features(blank_image(self.config.vision_config, self.device))
        else:  # nobody waits for a frozen encoder
            width = self.config.vision_config.hidden_size
            features = torch.zeros(1, self._num_pooled + 1, width, dtype=self.dtype, device=self.device)
        index = torch.zeros(batch_size, 1, dtype=torch.long, device=self.device)
        return self._from_features(features, index, index.bool())

    def _check_index(self, image_index: torch.Tensor, count: int) -> None:
        """Looks for images that are not there; not in a graph or on an accelerator, which would have to wait."""
        if torch.compiler.is_compiling() or torch.jit.is_tracing() or image_index.device.type != "cpu":
            return
        outside = image_index[(image_index < 0) | (image_index >= count)]
        if outside.shape[0]:
            raise ValueError(f"`image_index` names image {int(outside[0])}, but there are only 0 to {count - 1}.")

    def _visual_prompts(self, images: Images | None) -> tuple[PrefixCache | None, torch.Tensor | None]:
        if self.visual_prompts is None or images is None:
            return None, None
        return self.visual_prompts(images)

    def _matching_gate(self, images, h_s, mask) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        if self.matching_gate is None:
            return None, None
        if images is None:
            return torch.ones(
                mask.shape[0], self.config.text_config.hidden_size, dtype=self.dtype, device=mask.device
            ), None
        return self.matching_gate(images, h_s, mask)

    def _matching_loss(self, gate, images, h_s, mask) -> torch.Tensor | None:
        if not (self.training and self.config.matching_loss_weight) or self.matching_gate is None or images is None:
            return None
        return matching_loss(gate, self.matching_gate(images.shifted_negatives(), h_s, mask)[0], images)

    def _encode(self, text: TextInputs, prefix: PrefixCache | None = None, **kwargs):
        """The text encoder on one of the two texts, with a prefix in front of the keys and values of every layer."""
        length = text.mask.shape[1]
        if length > self.config.max_text_length:
            raise ValueError(
                f"A text has {length} tokens; this text encoder has positions for "
                f"{self.config.max_text_length}. Set `max_length={self.config.max_text_length}` of the processor."
            )
        bias = attention_bias(text.mask, prefix, self.dtype, self.text_encoder.config._attn_implementation)
        return self.text_encoder(
            input_ids=text.ids,
            inputs_embeds=None if text.embeds is None else text.embeds.to(self.dtype),
            position_ids=self._positions(text),
            # An encoder without segments embeds one, whatever segments its tokenizer has.
            token_type_ids=text.types if self.config.text_config.type_vocab_size > 1 else None,
            attention_mask=bias,
            return_dict=True,
            **{CACHE: prefix},
            **kwargs,
        )

    def _positions(self, text: TextInputs) -> torch.Tensor | None:
        """RoBERTa and its kin count the tokens that are no padding, which they cannot see in embeddings: `(B, L)`."""
        if text.embeds is None or self.config.position_offset == 0:
            return None
        real = text.mask.bool().long()
        return real.cumsum(dim=1) * real + self.config.position_offset - 1

    def _fuse(self, f_1, f_2, f_3, head_index, tail_index) -> torch.Tensor:
        """R of Eq. 14 where it is read: at the opening markers of head and tail, `(B, 2 d)`."""
        if f_3 is None:
            return at_markers(f_2, head_index, tail_index)
        r_3 = at_markers(f_3, head_index, tail_index)
        if not self.config.use_result_fusion:
            return r_3
        weight, r_1 = self.config.fusion_lambda, at_markers(f_1, head_index, tail_index)
        return weight * on_device_of(r_3, r_1) + (1 - weight) * r_1


def at_markers(states: torch.Tensor, head_index: torch.Tensor, tail_index: torch.Tensor) -> torch.Tensor:
    """The states `(B, L, d)` at the opening markers of head and tail, side by side: `(B, 2 d)`."""
    markers = on_device_of(torch.stack([head_index, tail_index], dim=1), states)  # (B, 2)
    return states.gather(1, markers.unsqueeze(-1).expand(-1, -1, states.shape[-1])).flatten(1)


class TGDIForRelationExtraction(TGDIPreTrainedModel):
    r"""
    TGDI with the classifier of Eq. 15 over the relations in `config.id2label`.

    Args:
        config (`TGDIConfig`): What to build.
    """

    def __init__(self, config: TGDIConfig):
        super().__init__(config)
        self.num_labels = config.num_labels
        self.tgdi = TGDIModel(config)
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = nn.Linear(2 * config.text_config.hidden_size, config.num_labels + config.inverse_labels)
        self.post_init()

    def get_vision_features(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """See `TGDIModel.get_vision_features`."""
        return self.tgdi.get_vision_features(pixel_values)

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.LongTensor | None = None,
        enhanced_input_ids: torch.LongTensor | None = None,
        enhanced_attention_mask: torch.Tensor | None = None,
        enhanced_token_type_ids: torch.LongTensor | None = None,
        head_index: torch.LongTensor | None = None,
        tail_index: torch.LongTensor | None = None,
        pixel_values: torch.FloatTensor | None = None,
        vision_features: torch.FloatTensor | None = None,
        image_mask: torch.Tensor | None = None,
        image_index: torch.LongTensor | None = None,
        labels: torch.LongTensor | None = None,
        output_hidden_states: bool | int | list[int] | None = None,
        output_attentions: bool | None = None,
        num_items_in_batch: torch.Tensor | int | None = None,
        inputs_embeds: torch.FloatTensor | None = None,
        enhanced_inputs_embeds: torch.FloatTensor | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> TGDIRelationExtractionOutput:
        r"""
        Args:
            labels (`torch.LongTensor`, *optional*): `(B,)`, relation ids; -100 leaves a row out of the loss. With
                `config.inverse_labels` those of relations from tail to head follow on the others. Of a multi-label
                model `(B, num_labels)`, 1 for each relation that holds and 0 for the others.
            num_items_in_batch (`torch.Tensor` or `int`, *optional*): What the summed loss is divided by, so that
                accumulated steps weigh every row alike; `Trainer` passes it. The mean by default.

        The other arguments are those of `TGDIModel.forward`.

        Returns:
            `TGDIRelationExtractionOutput`.

        Raises:
            TypeError, ValueError: As `TGDIModel.forward`.
        """
        refuse_unknown_arguments(self.forward, kwargs)
        outputs = self.tgdi(
            input_ids=input_ids,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            enhanced_input_ids=enhanced_input_ids,
            enhanced_attention_mask=enhanced_attention_mask,
            enhanced_token_type_ids=enhanced_token_type_ids,
            head_index=head_index,
            tail_index=tail_index,
            pixel_values=pixel_values,
            vision_features=vision_features,
            image_mask=image_mask,
            image_index=image_index,
            output_hidden_states=output_hidden_states,
            output_attentions=output_attentions,
            inputs_embeds=inputs_embeds,
            enhanced_inputs_embeds=enhanced_inputs_embeds,
            return_dict=True,
        )
        scores = self.classifier(self.dropout(outputs.entity_states))  # Eq. 15
        loss = None
        if labels is not None:
            labels, multi_label = on_device_of(labels, scores), self.config.thresholds is not None
            loss = classification_loss(scores, labels, multi_label, num_items_in_batch)  # Eq. 16
            further = []
            if outputs.matching_loss is not None:
                further.append(self.config.matching_loss_weight * outputs.matching_loss)
            if self.training and self.config.branch_consistency_weight:
                branches = (outputs.cross_modal_last_hidden_state, outputs.text_oriented_last_hidden_state)
                of_each = [self.classifier(self.dropout(at_markers(f, head_index, tail_index))) for f in branches]
                further.append(self.config.branch_consistency_weight * branch_divergence(*of_each, labels))
            if further:
                # Of accumulated batches each adds its share, as to the cross-entropy.
                share = 1
                if num_items_in_batch is not None:
                    share = (labels != -100).sum() / labels_of_step(labels, num_items_in_batch)
                loss = loss + share * sum(further)
        directed = scores if self.config.inverse_labels else None
        return TGDIRelationExtractionOutput(
            loss=loss,
            logits=scores if directed is None else fold_inverses(directed, self.num_labels, self.config.none_label),
            matching_gate=outputs.matching_gate,
            similarity=outputs.similarity,
            vision_gates=outputs.vision_gates,
            cross_modal_hidden_states=outputs.cross_modal_hidden_states,
            cross_modal_attentions=outputs.cross_modal_attentions,
            text_oriented_hidden_states=outputs.text_oriented_hidden_states,
            text_oriented_attentions=outputs.text_oriented_attentions,
            directed_logits=directed,
        )


__all__ = ["TGDIForRelationExtraction", "TGDIModel"]

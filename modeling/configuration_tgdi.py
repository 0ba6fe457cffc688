"""Configuration of the TGDI model."""

from collections.abc import Callable
from copy import deepcopy
from os import PathLike
from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict

from .checkpoint_names import auto_map, custom_pipelines
from .configuration_checks import check_mechanisms
from .configuration_presets import preset_fields
from .relation_configuration import RelationConfig

ENTITY_MARKERS = ("<head>", "</head>", "<tail>", "</tail>")


@strict
class TGDIConfig(RelationConfig):
    r"""
    Configuration of TGDI (Text-Guided Dual Interaction, ECML-PKDD 2025): a text encoder, a vision encoder and their
    fusion. The defaults are those of the paper: BERT-base, CLIP ViT-B/32, three objects, `fusion_lambda` 0.5.

    Args:
        text_config (`PreTrainedConfig` or `dict`, *optional*, defaults to BERT-base):
            Configuration of a bert, roberta, xlm-roberta, camembert or electra encoder.
        vision_config (`PreTrainedConfig` or `dict`, *optional*, defaults to CLIP ViT-B/32):
            Configuration of a vision transformer that returns hidden states (clip_vision_model, vit, dinov2,
            dinov3_vit, siglip_vision_model, ...).
        num_objects (`int`, *optional*, defaults to 3):
            The maximum number m of object images per post, in addition to the whole image.
        prompt_grid (`int`, *optional*, defaults to 1):
            An image becomes `prompt_grid ** 2` prompt tokens; 1 is the global average pooling of Eq. 1.
        object_features (`str`, *optional*, defaults to `"crops"`):
            `"crops"`, as in the paper: an object is a crop of the image, which the vision encoder reads as an image of
            its own. `"regions"`: the encoder reads each image once, and an object's features are the mean of the
            image's patches under its box, weighted by area.
        fusion_lambda (`float`, *optional*, defaults to 0.5):
            The weight λ of the text-oriented states in Eq. 14.
        classifier_dropout (`float`, *optional*, defaults to 0.01):
            Dropout before the classifier; the encoders have their own.
        text_dropout (`float`, *optional*):
            Dropout of the text encoder and of the text-oriented layers, in hidden states and attention weights. By
            default as in `text_config`.
        toi_num_layers (`int`, *optional*, defaults to 2):
            The number of text-oriented layers (Eq. 12-13). `None` stands for all layers of the text encoder.
        toi_share_text_encoder (`bool`, *optional*, defaults to `True`):
            Whether the text-oriented layers are the top `toi_num_layers` layers of the text encoder itself, or
            separate layers that are initialised from them.
        self_attention_residual (`bool`, *optional*, defaults to `True`):
            Whether the self-attention of Eq. 7 has a residual connection and layer normalisation, like attention in a
            transformer. `False` is the literal formula.
        use_visual_prompts (`bool`, *optional*, defaults to `True`):
            `False` ("w/o visual prompts", not an ablation of the paper) removes the visual prompts from Eq. 6.
        use_matching_gate (`bool`, *optional*, defaults to `True`):
            `False` ("w/o TMMG") sets the gate of Eq. 10 to one.
        use_text_oriented_interaction (`bool`, *optional*, defaults to `True`):
            `False` ("w/o TOI") classifies the gated states f_2 of Eq. 11.
        use_result_fusion (`bool`, *optional*, defaults to `True`):
            `False` ("w/o R" and "w/o CMI") classifies the text-oriented states f_3 of Eq. 13 alone.
        similarity_function (`str`, *optional*, defaults to `"cosine"`):
            The scores of Eq. 8: `"dot"`, the literal formula; `"scaled_dot"`, divided by the square root of the width,
            like attention scores; or `"cosine"`, multiplied by a learned scale, as in CLIP.
        initial_gate (`float`, *optional*, defaults to 0.5):
            The value of the gate of Eq. 10 before training, as the bias of the last layer of M.
        gate_visual_prompts (`bool`, *optional*, defaults to `False`):
            Whether the gate of Eq. 10 also weighs the values of the visual prompts in Eq. 6. In the paper (`False`) it
            weighs f_1 in Eq. 11 only, and Eq. 14 adds the ungated f_1.
        gate_attention (`bool`, *optional*, defaults to `False`):
            Whether the gate also weighs the attention of Eq. 6 to the visual prompts and to the caption: the logarithm
            of the odds of its mean, at most 0, is added to their scores. From a mean of 0.5 on nothing changes, and f_1
            of a closed gate is that of the text alone. Not in the paper.
        gate_is_probability (`bool`, *optional*, defaults to `False`):
            Whether the mean of the gate estimates the probability that the images belong to the text, where as many do
            as do not. Set by `make_trainer` for training with `matching_loss_weight` and swapped images.
        gate_calibration_error (`float`, *optional*):
            The expected calibration error of that probability on validation rows, one half of them with the image of
            another post. Measured by `fine_tune`.
        matching_loss_weight (`float`, *optional*, defaults to 0.0):
            The weight, in training, of a loss that trains the gate of Eq. 10 to distinguish the images of a post from
            those of another post: the preceding row's and, if the batch has `image_matches`, the swapped ones. In the
            paper (0) the gate is trained by the relation labels alone.
        matching_loss_gate_only (`bool`, *optional*, defaults to `False`):
            Whether that loss trains the gate alone, and neither the encoders nor the self-attention of Eq. 7.
        text_loss_weight (`float`, *optional*, defaults to 0.0):
            The weight, in training, of the cross-entropy of the text alone: the classifier on H instead of R. With it,
            rows with the image of another post (`image_matches` 0) count in Eq. 16 only if the text alone gives their
            label a probability above 0.5, because otherwise the image had determined it. Not in the paper (0).
        logit_adjustment (`float`, *optional*, defaults to 0.0):
            The weight τ of the logarithm of the labels' frequencies, which the loss of Eq. 16 adds to the logits in
            training (Menon et al. 2021, "Long-tail learning via logit adjustment", Eq. 10), so that frequent labels,
            such as the negative one, are predicted less often. 1 balances the labels. Not in the paper (0).
        label_log_priors (`list[float]`, *optional*):
            These logarithms, of every label and inverse relation. Counted in the training rows by `make_trainer`.
        branch_consistency_weight (`float`, *optional*, defaults to 0.0):
            The weight, in training, of a loss that aligns the predictions of the two branches of Eq. 14. The paper has
            no such loss (0).
        negative_label (`str`, *optional*, defaults to `"None"`):
            The label for "no relation", which precision, recall, F1, triples and `drop_none` exclude. `None` declares
            that every label is a relation. The default also finds MNRE-1's `"none"`, and has no effect on a model
            without either label.
        problem_type (`str`, *optional*):
            `"multi_label_classification"`: an entity pair may have any number of relations; the loss is binary
            cross-entropy, and no label stands for "no relation". Otherwise (`"single_label_classification"` or `None`)
            it has exactly one label.
        decision_thresholds (`list[float]`, *optional*):
            For a multi-label model, the minimum probability at which each relation is predicted. Defaults to 0.5.
        direction_balanced (`bool`, *optional*, defaults to `False`):
            Whether the model was trained on every entity pair in both entity orders, and can therefore classify either
            order. (MNRE lists pairs without a relation in text order only.)
        symmetric_relations (`list[str]`, *optional*):
            The relations that hold in both directions. With `direction_balanced`, a swapped pair keeps them, and the
            pipeline lists them once per pair whose order is not given. Defaults to those of MNRE; a model of other
            relations that is trained on both orders has to name them.
        inverse_labels (`int`, *optional*, defaults to 0):
            With `direction_balanced`, the number of relations that hold in one direction only. In training, the
            classifier then distinguishes a pair with such a relation from tail to head from a pair without a relation;
            in the logits, both are the negative label. With 0, they are the same in training as well.
        tail_first_bias (`float`, *optional*):
            How far the training rows list pairs without a relation in text order, as the pipeline corrects it when it
            scores all pairs of a post: the log-odds of the negative label to add where the tail comes first. Counted by
            `make_trainer`, see `estimate_tail_first_bias`; `None` if it was not counted.
        initializer_range (`float`, *optional*, defaults to 0.02):
            Standard deviation of the initial weights outside the two encoders.
        text_revision (`str`, *optional*):
            The commit on the Hub from which the weights of the text encoder were loaded; its repository is named in
            `text_config`. Recorded by `from_text_vision_pretrained`; `None` for a folder.
        vision_revision (`str`, *optional*):
            As `text_revision`, for the vision encoder.

    Raises:
        StrictDataclassError: An invalid value, as for all configurations of transformers; the message names the field,
            the value and the valid values.
        ValueError: An unknown field, or `num_labels` and `id2label` disagree.

    Example:

    ```python
    >>> from tgdi_hf import TGDIConfig, TGDIForRelationExtraction

    >>> config = TGDIConfig(num_labels=23)
    >>> config.text_config.model_type, config.vision_config.model_type
    ('bert', 'clip_vision_model')
    ```
    """

    model_type = "tgdi"
    # `Trainer` gathers all other outputs over the whole evaluation set; feature maps would fill the memory.
    keys_to_ignore_at_inference: ClassVar[list[str]] = [
        "matching_gate",
        "similarity",
        "patch_token_cosine",
        "vision_gates",
        "entity_states",
        "cross_modal_last_hidden_state",
        "text_oriented_last_hidden_state",
        "cross_modal_hidden_states",
        "cross_modal_attentions",
        "text_oriented_hidden_states",
        "text_oriented_attentions",
        "directed_logits",
        "region_weights",
    ]
    # Fields with which the model adds terms to the cross-entropy of its logits, or computes it from others.
    extra_loss_fields: ClassVar[tuple[str, ...]] = (
        "matching_loss_weight",
        "text_loss_weight",
        "logit_adjustment",
        "branch_consistency_weight",
        "inverse_labels",
    )

    # Writes the code of model, processor and pipeline into a folder; set by the installed package. Remote code does not
    # need it: transformers copies the files of a checkpoint, each of which imports all others.
    _write_code: ClassVar[Callable[[str | PathLike], None] | None] = None

    prompt_grid: int = 1
    object_features: str = "crops"
    fusion_lambda: float | int = 0.5
    text_dropout: float | int | None = None
    toi_num_layers: int | None = 2
    toi_share_text_encoder: bool = True
    self_attention_residual: bool = True
    use_visual_prompts: bool = True
    use_matching_gate: bool = True
    use_text_oriented_interaction: bool = True
    use_result_fusion: bool = True
    similarity_function: str = "cosine"
    initial_gate: float | int = 0.5
    gate_visual_prompts: bool = False
    gate_attention: bool = False
    gate_is_probability: bool = False
    gate_calibration_error: float | int | None = None
    matching_loss_weight: float | int = 0.0
    text_loss_weight: float | int = 0.0
    matching_loss_gate_only: bool = False
    logit_adjustment: float | int = 0.0
    label_log_priors: list[float] | None = None
    branch_consistency_weight: float | int = 0.0

    def __post_init__(self, **kwargs):
        super().__post_init__(**kwargs)
        if self.toi_num_layers is None:
            self.toi_num_layers = self.text_config.num_hidden_layers
        if self.text_dropout is not None:
            self.text_config = deepcopy(self.text_config)  # the caller's may serve another model
            self.text_config.hidden_dropout_prob = self.text_config.attention_probs_dropout_prob = self.text_dropout

    @classmethod
    def from_preset(cls, preset: str, **fields: Any) -> "TGDIConfig":
        r"""
        A configuration from a named set of fields.

        Args:
            preset (`str`): `"default"`; `"paper"`, which follows the formulas of the paper to the letter; or
                `"application"`, for posts whose images may be irrelevant and whose entities have no given order.
            fields: Further fields; they override those of the preset.

        Raises:
            ValueError: An unknown preset, or as for the constructor.
        """
        return cls(**{**preset_fields(preset), **fields})

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs):
        """
        As in transformers, with validation of the changes in `kwargs`. If they change the number of labels, all saved
        fields that describe labels are discarded.
        """
        if "custom_pipelines" in config_dict:
            pipelines = custom_pipelines(cls._is_remote(), config_dict["custom_pipelines"])
            config_dict = {**config_dict, "custom_pipelines": pipelines}
        if "scale_similarity" in config_dict or "use_cross_modal_interaction" in config_dict:
            config_dict = _with_current_names(config_dict)
        # Changes of these fields change others, which the constructor derives.
        changes = {name: kwargs.pop(name) for name in ("toi_num_layers", "text_dropout") if name in kwargs}
        return super().from_dict(config_dict | changes, **kwargs)

    @classmethod
    def _is_remote(cls) -> bool:
        """Whether this class was loaded from a checkpoint with `trust_remote_code=True`."""
        return cls.__module__.startswith("transformers_modules.")

    def save_pretrained(self, save_directory: str | PathLike, push_to_hub: bool = False, **kwargs):
        r"""
        As in transformers, together with the code of model, processor and pipeline, so that the folder loads with
        `trust_remote_code=True` where `tgdi_hf` is not installed.

        Args:
            save_directory (`str` or `os.PathLike`): The folder for `config.json`; created if it does not exist.
            push_to_hub (`bool`, *optional*, defaults to `False`): Whether to upload the folder to `repo_id`, which
                defaults to the name of the folder.
            kwargs: Passed to `push_to_hub` (`repo_id`, `token`, `private`, `revision`, `commit_message`, ...).
        """
        self.auto_map = auto_map(getattr(self, "auto_map", None), save_directory)
        self.custom_pipelines = custom_pipelines(self._is_remote())
        super().save_pretrained(save_directory, push_to_hub, **kwargs)

    def _save_code(self, save_directory: str | PathLike) -> None:
        write_code = type(self)._write_code
        if write_code is not None:
            write_code(save_directory)

    def validate_architecture(self):
        """Part of `@strict`-powered validation: checks what the type annotations cannot express."""
        super().validate_architecture()
        check_mechanisms(self)

    @property
    def num_vision_states(self) -> int:
        """The number c of hidden states of the vision encoder."""
        return self.vision_config.num_hidden_layers + 1

    @property
    def num_pooled_tokens(self) -> int:
        """The number of pooled tokens per image, c · G, which precede the patches in its vision features; with
        `object_features="regions"` the features are patches only."""
        return self.num_vision_states * self.prompt_grid**2

    @property
    def num_patches(self) -> int:
        """The number of patches of an image of the size that the vision encoder is made for."""
        size, patch = getattr(self.vision_config, "image_size", 224), self.vision_config.patch_size
        height, width = (size, size) if isinstance(size, int) else size
        return (height // patch) * (width // patch)

    @property
    def uses_vision(self) -> bool:
        """Whether any mechanism reads the images; otherwise the model has no vision encoder."""
        return self.use_visual_prompts or self.use_matching_gate


def _with_current_names(saved: dict[str, Any]) -> dict[str, Any]:
    """Translates the fields of a configuration file that was saved before they were renamed."""
    current = dict(saved)
    current["similarity_function"] = "scaled_dot" if current.pop("scale_similarity", False) else "dot"
    if "use_cross_modal_interaction" in current:
        current["use_visual_prompts"] = current.pop("use_cross_modal_interaction")
    return current


__all__ = ["TGDIConfig"]

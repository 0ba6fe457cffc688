"""TGDI model configuration."""

from collections.abc import Callable
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig
from transformers.configuration_utils import PreTrainedConfig, SubConfigSpec

from .checkpoint_names import auto_map, custom_pipelines, is_hub_name

# Their layers share one shape: they attend to whatever the cache in their arguments returns, which is how TGDI
# injects its prefixes. Another encoder would swallow the prefixes silently, so the list is closed.
TEXT_MODEL_TYPES = ("bert", "roberta", "xlm-roberta", "camembert", "electra")
NEGATIVE = "None"
ENTITY_MARKERS = ("<head>", "</head>", "<tail>", "</tail>")
# Fields that say something of the relations of a model, and nothing of those of another one.
OF_RELATIONS = ("id2label", "label2id", "symmetric_relations", "inverse_labels")
# Options of every configuration that are no fields of its class.
GENERAL_OPTIONS = ("num_labels", "attn_implementation", "output_attentions", "torch_dtype", "name_or_path", "auto_map")
# What shows in the configuration of a vision encoder that its hidden states are not the patches in their order.
REFUSED_VISION = {
    "mask_ratio": "hides and shuffles patches at random",
    "depths": "halves its grid of patches from stage to stage",
}


@strict
class TGDIConfig(PreTrainedConfig):
    r"""
    Configuration of TGDI (Text-Guided Dual Interaction, ECML-PKDD 2025): a text encoder, a vision encoder and how
    they are fused. The defaults are the paper's: BERT-base, CLIP ViT-B/32, three objects, `fusion_lambda` 0.5.

    Args:
        text_config (`PreTrainedConfig` or `dict`, *optional*, defaults to BERT-base):
            Configuration of a bert, roberta, xlm-roberta, camembert or electra encoder.
        vision_config (`PreTrainedConfig` or `dict`, *optional*, defaults to CLIP ViT-B/32):
            Configuration of any vision transformer that returns hidden states (clip_vision_model, vit, dinov2,
            dinov3_vit, siglip_vision_model, ...).
        num_objects (`int`, *optional*, defaults to 3):
            The largest number m of object pictures beside the whole image.
        prompt_grid (`int`, *optional*, defaults to 1):
            A picture becomes `prompt_grid ** 2` prompt tokens: 1 is the global average pooling of Eq. 1.
        fusion_lambda (`float`, *optional*, defaults to 0.5):
            The weight λ of the text-oriented states in Eq. 14.
        classifier_dropout (`float`, *optional*, defaults to 0.01):
            Dropout before the classifier, and in no other place: the encoders keep their own.
        toi_num_layers (`int`, *optional*, defaults to 2):
            Depth of the text-oriented encoder (Eq. 12-13).
        toi_share_text_encoder (`bool`, *optional*, defaults to `True`):
            Whether the text-oriented encoder is the top `toi_num_layers` layers of the text encoder itself; otherwise
            it has layers of its own that start from those.
        self_attention_residual (`bool`, *optional*, defaults to `True`):
            Whether the self-attention of Eq. 7 has a residual connection and layer normalisation, as attention in a
            transformer has; `False` is the formula to the letter.
        use_cross_modal_interaction (`bool`, *optional*, defaults to `True`):
            `False` ("w/o CMI") takes the visual prompts out of Eq. 6.
        use_matching_gate (`bool`, *optional*, defaults to `True`):
            `False` ("w/o TMMG") sets the gate of Eq. 10 to one.
        use_text_oriented_interaction (`bool`, *optional*, defaults to `True`):
            `False` ("w/o TOI") classifies the gated states f_2 of Eq. 11.
        use_result_fusion (`bool`, *optional*, defaults to `True`):
            `False` ("w/o R") classifies the text-oriented states f_3 of Eq. 13 alone.
        scale_similarity (`bool`, *optional*, defaults to `False`):
            Whether the scores of Eq. 8 are divided by the square root of the width, as those of attention are.
            `False` is the formula to the letter.
        gate_visual_prompts (`bool`, *optional*, defaults to `False`):
            Whether the gate of Eq. 10 weighs the values of the visual prompts in Eq. 6, too, and not f_1 alone in
            Eq. 11, past which Eq. 14 adds f_1 as it is. `False` is the paper.
        matching_loss_weight (`float`, *optional*, defaults to 0.0):
            The weight, in training, of a loss that teaches the gate of Eq. 10 to tell the pictures of a post from those
            of another one in the batch. 0 is the paper, whose gate learns from the relations alone.
        branch_consistency_weight (`float`, *optional*, defaults to 0.0):
            The weight, in training, of a loss that keeps the two branches of Eq. 14 from contradicting each other.
            0 is the paper.
        direction_balanced (`bool`, *optional*, defaults to `False`):
            Whether the model was trained on every pair of entities in both orders, so that it can judge each order by
            itself. (MNRE lists pairs without relation in the order of the text only.)
        symmetric_relations (`list[str]`, *optional*):
            The relations that hold both ways: with `direction_balanced` a swapped pair keeps them, and the pipeline
            says them once of a pair whose order is not given. By default those of MNRE; a model of other relations
            that is trained on both orders has to name them.
        inverse_labels (`int`, *optional*, defaults to 0):
            With `direction_balanced`: how many relations hold in one direction only. In training the classifier then
            tells a pair with such a relation from tail to head apart from one without any; both are `None` in the
            logits. 0 makes `None` of both in training, too.
        initializer_range (`float`, *optional*, defaults to 0.02):
            Standard deviation of the initial weights outside the two encoders.

    Raises:
        StrictDataclassError: A value that no TGDI can have, as for all configurations of transformers; the message
            names the field, the value and what is allowed.
        ValueError: A field that there is not, or `num_labels` and `id2label` that do not agree.

    Example:

    ```python
    >>> from tgdi_hf import TGDIConfig, TGDIForRelationExtraction

    >>> config = TGDIConfig(num_labels=23)
    >>> config.text_config.model_type, config.vision_config.model_type
    ('bert', 'clip_vision_model')
    ```
    """

    model_type = "tgdi"
    sub_configs_defaults = {
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="bert"),
        "vision_config": SubConfigSpec(config_class=AutoConfig, model_type="clip_vision_model"),
    }
    # Trainer gathers over the whole evaluation set whatever is not named here: feature maps would fill the memory.
    keys_to_ignore_at_inference: ClassVar[list[str]] = [
        "matching_gate",
        "similarity",
        "vision_gates",
        "entity_states",
        "cross_modal_last_hidden_state",
        "text_oriented_last_hidden_state",
        "cross_modal_hidden_states",
        "cross_modal_attentions",
        "text_oriented_hidden_states",
        "text_oriented_attentions",
        "directed_logits",
    ]

    # Writes the code of model, processor and pipeline into a folder. The installed package sets it; remote code needs
    # none, since transformers copies its files, and in a checkpoint each of them leads to all others.
    _write_code: ClassVar[Callable[[str], None] | None] = None

    text_config: PreTrainedConfig | dict | None = None
    vision_config: PreTrainedConfig | dict | None = None
    num_objects: int = 3
    prompt_grid: int = 1
    fusion_lambda: float | int = 0.5
    classifier_dropout: float | int = 0.01
    toi_num_layers: int = 2
    toi_share_text_encoder: bool = True
    self_attention_residual: bool = True
    use_cross_modal_interaction: bool = True
    use_matching_gate: bool = True
    use_text_oriented_interaction: bool = True
    use_result_fusion: bool = True
    scale_similarity: bool = False
    gate_visual_prompts: bool = False
    matching_loss_weight: float | int = 0.0
    branch_consistency_weight: float | int = 0.0
    direction_balanced: bool = False
    symmetric_relations: list[str] | None = None
    inverse_labels: int = 0
    initializer_range: float | int = 0.02

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs):
        """
        As in transformers; `num_labels` takes precedence over relations of another number that were saved, and what
        `kwargs` change is checked like everything else.
        """
        num_labels = kwargs.get("num_labels", len(kwargs.get("id2label") or {}) or None)
        if num_labels is not None and num_labels != len(config_dict.get("id2label") or {}):
            config_dict = {name: value for name, value in config_dict.items() if name not in OF_RELATIONS}
        if "custom_pipelines" in config_dict:
            found = custom_pipelines(cls._is_remote(), config_dict["custom_pipelines"])
            config_dict = {**config_dict, "custom_pipelines": found}
        found = super().from_dict(config_dict, **kwargs)
        (found[0] if isinstance(found, tuple) else found).validate()
        return found

    @classmethod
    def _is_remote(cls) -> bool:
        """Whether this class was loaded from a checkpoint, with `trust_remote_code=True`."""
        return cls.__module__.startswith("transformers_modules.")

    def save_pretrained(self, save_directory, push_to_hub: bool = False, **kwargs):
        r"""
        As in transformers, with the code of model, processor and pipeline, so that the folder loads with
        `trust_remote_code=True` where `tgdi_hf` is not installed.

        Args:
            save_directory (`str` or `os.PathLike`): Where to write `config.json`; made if it does not exist.
            push_to_hub (`bool`, *optional*, defaults to `False`): Upload as well, to `repo_id`, by default the
                folder's name.
            kwargs: Of `push_to_hub` (`repo_id`, `token`, `private`, `revision`, `commit_message`, ...).
        """
        if of_tgdi := self.model_type == TGDIConfig.model_type:  # not that of another model which inherits this one
            self.auto_map = auto_map(getattr(self, "auto_map", None), save_directory)
            self.custom_pipelines = custom_pipelines(self._is_remote())
        for encoder in (self.text_config, self.vision_config):
            # A folder of this machine means nothing on another one, and says who works where.
            if not is_hub_name(encoder.name_or_path):
                encoder.name_or_path = ""
        super().save_pretrained(save_directory)
        if of_tgdi and self._write_code is not None:
            self._write_code(save_directory)
        if push_to_hub:
            self.push_to_hub(kwargs.pop("repo_id", Path(save_directory).name), **kwargs)

    def __post_init__(self, **kwargs):
        # A file says of which type it is; it may come from a later version, with fields that this one lacks.
        if "model_type" not in kwargs:
            known = [field.name for field in fields(self)] + list(GENERAL_OPTIONS)
            for name in kwargs.keys() - set(known):
                similar = get_close_matches(name, known, n=1)
                hint = f"did you mean {similar[0]!r}?" if similar else f"it has {', '.join(sorted(known))}."
                raise ValueError(f"TGDIConfig has no field {name!r}; {hint}")
        num_labels, id2label = kwargs.get("num_labels"), self.id2label
        if num_labels is not None and id2label is not None and num_labels != len(id2label):
            raise ValueError(
                f"`num_labels` is {num_labels} but `id2label` names {len(id2label)} labels: {list(id2label.values())}. "
                "Pass one of the two, or make them agree."
            )
        super().__post_init__(**kwargs)
        for sub_config in (self.text_config, self.vision_config):
            # Code that a nested config asks for is never run, so the wish does not travel on either.
            for name in ("auto_map", "trust_remote_code"):
                sub_config.__dict__.pop(name, None)

    def validate_architecture(self):
        """Part of `@strict`-powered validation. Checks what the type annotations cannot."""
        text, vision = self.text_config, self.vision_config
        if text.model_type not in TEXT_MODEL_TYPES:
            raise ValueError(
                f"`text_config` is of type {text.model_type!r}; TGDI injects its prompts into the attention of a "
                f"BERT-shaped encoder: one of {', '.join(TEXT_MODEL_TYPES)}."
            )
        if text.is_decoder or text.add_cross_attention:
            raise ValueError("`text_config` is a decoder; TGDI needs an encoder: set `is_decoder=False`.")
        missing = [
            n for n in ("hidden_size", "num_hidden_layers", "image_size", "patch_size") if not hasattr(vision, n)
        ]
        if missing:
            raise ValueError(
                f"`vision_config` of type {vision.model_type!r} has no {', '.join(missing)}; TGDI needs a vision "
                "transformer such as clip_vision_model, vit, dinov2 or siglip_vision_model."
            )
        for name, fault in REFUSED_VISION.items():
            if hasattr(vision, name):
                raise ValueError(
                    f"`vision_config` of type {vision.model_type!r} has `{name}`: such an encoder {fault}, but TGDI "
                    "compares the same patches in every layer. Use one such as clip_vision_model, vit, dinov2 or "
                    "siglip_vision_model."
                )
        if not 0 <= self.fusion_lambda <= 1:
            raise ValueError(f"`fusion_lambda` is {self.fusion_lambda}; it weighs f_3 in Eq. 14: from 0 to 1.")
        if not 0 <= self.classifier_dropout < 1:
            raise ValueError(f"`classifier_dropout` is {self.classifier_dropout}; expected 0 ≤ dropout < 1.")
        if self.matching_loss_weight < 0 or (self.matching_loss_weight and not self.use_matching_gate):
            raise ValueError(
                f"`matching_loss_weight` is {self.matching_loss_weight}; expected 0 or more, and 0 without the gate "
                "that it teaches (`use_matching_gate=False`)."
            )
        if self.branch_consistency_weight < 0 or (
            self.branch_consistency_weight and not (self.use_text_oriented_interaction and self.use_result_fusion)
        ):
            raise ValueError(
                f"`branch_consistency_weight` is {self.branch_consistency_weight}; expected 0 or more, and 0 without "
                "two branches (`use_text_oriented_interaction=False` or `use_result_fusion=False`)."
            )
        if self.gate_visual_prompts and not (self.use_matching_gate and self.use_cross_modal_interaction):
            raise ValueError(
                "`gate_visual_prompts=True` needs the gate and the prompts: `use_matching_gate=True` and "
                "`use_cross_modal_interaction=True`."
            )
        if self.num_objects < 0:
            raise ValueError(f"`num_objects` is {self.num_objects}; expected 0 or more.")
        if self.prompt_grid < 1:
            raise ValueError(f"`prompt_grid` is {self.prompt_grid}; expected 1 or more.")
        if not 1 <= self.toi_num_layers <= text.num_hidden_layers:
            raise ValueError(
                f"`toi_num_layers` is {self.toi_num_layers}; the layers start from the text encoder's "
                f"{text.num_hidden_layers}: expected 1 to {text.num_hidden_layers}. To do without the text-oriented "
                "interaction set `use_text_oriented_interaction=False`."
            )
        if self.inverse_labels and not (
            0 < self.inverse_labels < self.num_labels and self.direction_balanced and self.none_label is not None
        ):
            raise ValueError(
                f"`inverse_labels` is {self.inverse_labels} with {self.num_labels} relations and `direction_balanced="
                f"{self.direction_balanced}`; expected less than there are relations, which need a {NEGATIVE!r}, and "
                "training on both orders of every pair: `direction_balanced=True`."
            )
        if self.num_labels < 2:
            raise ValueError(f"`num_labels` is {self.num_labels}; a classifier of relations needs 2 or more.")

    @property
    def none_label(self) -> int | None:
        """The id of `None`, if there is one among the relations."""
        return next((i for i, name in self.id2label.items() if name == NEGATIVE), None)

    @property
    def max_text_length(self) -> int:
        """The longest text in tokens, special ones included, that the text encoder has positions for."""
        text = self.text_config
        # RoBERTa and its kin count positions from behind the padding token's id.
        offset = 0 if text.model_type in ("bert", "electra") else text.pad_token_id + 1
        return text.max_position_embeddings - offset

    @property
    def uses_vision(self) -> bool:
        """Whether any mechanism looks at the pictures; if none does, the model has no vision encoder."""
        return self.use_cross_modal_interaction or self.use_matching_gate


__all__ = ["TGDIConfig"]

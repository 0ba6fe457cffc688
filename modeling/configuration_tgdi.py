"""TGDI model configuration."""

from collections.abc import Callable
from dataclasses import fields
from difflib import get_close_matches
from math import inf
from pathlib import Path
from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig
from transformers.configuration_utils import PreTrainedConfig, SubConfigSpec

from .attention_support import check_attn_implementation, requested_by
from .checkpoint_names import auto_map, custom_pipelines, is_hub_name
from .decision_thresholds import checked_thresholds
from .negative_label import AUTO, MULTI_LABEL, NEGATIVE, find_negative, negative_of
from .output_selection import selected_layers

# Their layers share one shape: they attend to whatever the cache in their arguments returns, which is how TGDI
# injects its prefixes. Another encoder would swallow the prefixes silently, so the list is closed.
TEXT_MODEL_TYPES = ("bert", "roberta", "xlm-roberta", "camembert", "electra")
ENTITY_MARKERS = ("<head>", "</head>", "<tail>", "</tail>")
# Fields that say something of the relations of a model, and nothing of those of another one.
OF_RELATIONS = (
    "id2label",
    "label2id",
    "negative_label",
    "symmetric_relations",
    "inverse_labels",
    "decision_thresholds",
)
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
            The largest number m of object images beside the whole image.
        prompt_grid (`int`, *optional*, defaults to 1):
            An image becomes `prompt_grid ** 2` prompt tokens: 1 is the global average pooling of Eq. 1.
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
            The weight, in training, of a loss that teaches the gate of Eq. 10 to tell the images of a post from those
            of another one in the batch. 0 is the paper, whose gate learns from the relations alone.
        branch_consistency_weight (`float`, *optional*, defaults to 0.0):
            The weight, in training, of a loss that keeps the two branches of Eq. 14 from contradicting each other.
            0 is the paper.
        negative_label (`str`, *optional*, defaults to `"None"`):
            The label that stands for "no relation"; precision, recall, F1, triples and `drop_none` leave it out. `None`
            says that every label is a relation. The default stands for `"None"` where that is a label, and for nothing
            else.
        problem_type (`str`, *optional*):
            `"multi_label_classification"`: an entity pair may have several relations, or none: the loss is binary
            cross-entropy, and no label stands for no relation. Otherwise (`"single_label_classification"` or `None`) it
            has one label.
        decision_thresholds (`list[float]`, *optional*):
            Of a multi-label model: the least probability of each relation that holds; 0.5 by default.
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
        text_revision (`str`, *optional*):
            The commit on the Hub that the text encoder's weights came from, under the name in `text_config`. A record
            that `from_text_vision_pretrained` makes; `None` if they came from a folder.
        vision_revision (`str`, *optional*):
            The same of the vision encoder.

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
    # Fields with which the model adds terms to the cross-entropy of its logits, or computes it from others.
    extra_loss_fields: ClassVar[tuple[str, ...]] = (
        "matching_loss_weight",
        "branch_consistency_weight",
        "inverse_labels",
    )

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
    negative_label: str | None = NEGATIVE
    decision_thresholds: list[float] | None = None
    direction_balanced: bool = False
    symmetric_relations: list[str] | None = None
    inverse_labels: int = 0
    initializer_range: float | int = 0.02
    text_revision: str | None = None
    vision_revision: str | None = None

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs):
        """
        As in transformers; `num_labels` takes precedence over relations of another number that were saved, and what
        `kwargs` change is checked like everything else.
        """
        check_id2label(kwargs.get("id2label"))
        num_labels = check_num_labels(kwargs.get("num_labels", len(kwargs.get("id2label") or {}) or None))
        if num_labels is not None and num_labels != len(config_dict.get("id2label") or {}):
            config_dict = {name: value for name, value in config_dict.items() if name not in OF_RELATIONS}
        if kwargs.get("id2label") is not None:
            kwargs["id2label"] = {int(number): name for number, name in kwargs["id2label"].items()}
            kwargs.setdefault("label2id", {name: number for number, name in kwargs["id2label"].items()})
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
        # A folder of this machine means nothing on another one, and says who works where: it is kept out of the file.
        folders = [
            (encoder.__dict__, encoder.__dict__.pop("_name_or_path"))
            for encoder in (self.text_config, self.vision_config)
            if "_name_or_path" in encoder.__dict__ and not is_hub_name(encoder._name_or_path)
        ]
        try:
            super().save_pretrained(save_directory)
        finally:
            for attributes, folder in folders:
                attributes["_name_or_path"] = folder
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
        num_labels, id2label = check_num_labels(kwargs.get("num_labels")), self.id2label
        if num_labels is None:
            kwargs.pop("num_labels", None)
        if id2label is None and self.label2id is not None:
            raise ValueError(
                f"There is a `label2id` {self.label2id} without an `id2label`; pass both, or `id2label` alone."
            )
        check_id2label(id2label)
        if num_labels is not None and id2label is not None and num_labels != len(id2label):
            raise ValueError(
                f"`num_labels` is {num_labels} but `id2label` names {len(id2label)} labels: {list(id2label.values())}. "
                "Pass one of the two, or make them agree."
            )
        if kwargs.get("attn_implementation") is None:  # transformers would drop what the encoders ask for
            kwargs["attn_implementation"] = {
                name: asked for name in self.sub_configs if (asked := requested_by(getattr(self, name))) is not None
            }
        super().__post_init__(**kwargs)
        for sub_config in (self.text_config, self.vision_config):
            # Code that a nested config asks for is never run, so the wish does not travel on either.
            for name in ("auto_map", "trust_remote_code"):
                sub_config.__dict__.pop(name, None)

    def validate_architecture(self):
        """Part of `@strict`-powered validation. Checks what the type annotations cannot."""
        text, vision = self.text_config, self.vision_config
        self._check_label_maps()
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
        if not isinstance(self.output_attentions, bool | None):
            raise ValueError(f"`output_attentions` is {self.output_attentions!r}; expected True or False.")
        selected_layers(self.output_hidden_states, text.num_hidden_layers + 1)
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
        if not 0 <= self.initializer_range < inf:
            raise ValueError(
                f"`initializer_range` is {self.initializer_range}; expected a standard deviation, 0 or more."
            )
        if not 0 <= self.matching_loss_weight < inf or (self.matching_loss_weight and not self.use_matching_gate):
            raise ValueError(
                f"`matching_loss_weight` is {self.matching_loss_weight}; expected 0 or more, and 0 without the gate "
                "that it teaches (`use_matching_gate=False`)."
            )
        if not 0 <= self.branch_consistency_weight < inf or (
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
        self._check_problem_type()
        if self.negative_label != NEGATIVE:  # the default, which is no label of many models
            find_negative(list(self.id2label.values()), self.negative_label)
        if self.inverse_labels and not (
            0 < self.inverse_labels < self.num_labels and self.direction_balanced and self.none_label is not None
        ):
            raise ValueError(
                f"`inverse_labels` is {self.inverse_labels} with {self.num_labels} relations and `direction_balanced="
                f"{self.direction_balanced}`; expected less than there are relations, one of which has to stand for no "
                "relation (`negative_label`), and training on both orders of every pair: `direction_balanced=True`."
            )
        if self.num_labels < 2:
            raise ValueError(f"`num_labels` is {self.num_labels}; a classifier of relations needs 2 or more.")

    def _check_problem_type(self):
        multi_label = self.problem_type == MULTI_LABEL
        if self.problem_type not in (None, "single_label_classification", MULTI_LABEL):
            raise ValueError(
                f"`problem_type` is {self.problem_type!r}; relations are classes: expected "
                f"'single_label_classification', {MULTI_LABEL!r} or `None`."
            )
        checked_thresholds(self.decision_thresholds, self.num_labels, multi_label)
        if not multi_label:
            return
        for name in ("direction_balanced", "branch_consistency_weight", "inverse_labels"):
            if getattr(self, name):
                raise ValueError(f"`{name}` needs labels that exclude each other; leave it out of a multi-label model.")
        if self.none_label is not None:
            raise ValueError(
                f"{self.negative_label!r} is among the labels of a multi-label model, which says so by naming none: "
                "leave it out of `id2label`; rows without relation have no label."
            )

    @property
    def thresholds(self) -> list[float] | None:
        """The least probability of each relation that holds, of a multi-label model; `None` of others."""
        # Checked again: whoever sets the field afterwards does not validate.
        return checked_thresholds(self.decision_thresholds, self.num_labels, self.problem_type == MULTI_LABEL)

    @property
    def none_label(self) -> int | None:
        """The id of `negative_label`, if it is a label."""
        return next((i for i, name in self.id2label.items() if name == self.negative_label), None)

    def find_negative(self, chosen: str | None = AUTO) -> str | None:
        """The label that stands for "no relation", or `None`; see `negative_of`."""
        return negative_of(self, [self.id2label[i] for i in range(self.num_labels)], chosen)

    @property
    def max_text_length(self) -> int:
        """The longest text in tokens, special ones included, that the text encoder has positions for."""
        return self.text_config.max_position_embeddings - self.position_offset

    @property
    def position_offset(self) -> int:
        """The position of the first token: RoBERTa and its kin count from behind the padding token's id."""
        return 0 if self.text_config.model_type in ("bert", "electra") else self.text_config.pad_token_id + 1

    @property
    def embedding_size(self) -> int:
        """The width of the text encoder's word embeddings; ELECTRA projects them to its hidden size."""
        return getattr(self.text_config, "embedding_size", self.text_config.hidden_size)

    def _check_label_maps(self):
        if len(set(self.id2label.values())) < self.num_labels:
            raise ValueError(f"`id2label` names a relation twice: {list(self.id2label.values())}.")
        if self.label2id is not None and self.label2id != {name: i for i, name in self.id2label.items()}:
            raise ValueError(
                f"`label2id` is {self.label2id}, which is not `id2label` {self.id2label} the other way round; pass "
                "both, or `id2label` alone."
            )

    @property
    def _attn_implementation(self) -> str | None:
        return self._attn_implementation_internal

    @_attn_implementation.setter
    def _attn_implementation(self, value: str | dict | None):
        check_attn_implementation(value)
        PreTrainedConfig._attn_implementation.fset(self, value)

    @property
    def uses_vision(self) -> bool:
        """Whether any mechanism looks at the images; if none does, the model has no vision encoder."""
        return self.use_cross_modal_interaction or self.use_matching_gate


def check_num_labels(num_labels: int | None) -> int | None:
    """Returns it, if it is a number of relations or absent."""
    if num_labels is not None and (not isinstance(num_labels, int) or isinstance(num_labels, bool)):
        raise ValueError(f"`num_labels` is {num_labels!r}; expected the number of relations.")
    return num_labels


def check_id2label(id2label: dict | None) -> None:
    """Refuses what names no relation, or has gaps: the classifier has one output per number from 0 on."""
    if id2label is None:
        return
    named = isinstance(id2label, dict) and all(isinstance(name, str) for name in id2label.values())
    # JSON knows no numbers as keys.
    if not named or {str(number) for number in id2label} != {str(number) for number in range(len(id2label))}:
        raise ValueError(
            f"`id2label` is {id2label!r}; expected the relation of each number from 0 on: {{0: 'None', 1: ...}}."
        )


__all__ = ["TGDIConfig"]

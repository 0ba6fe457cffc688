"""Configuration of a relation classifier over a text and a vision encoder, whatever fuses them."""

from dataclasses import fields
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig
from transformers.configuration_utils import PreTrainedConfig, SubConfigSpec

from .attention_support import check_attn_implementation, requested_by
from .checkpoint_names import is_hub_name
from .configuration_checks import (
    check_field_names,
    check_id2label,
    check_label_arguments,
    check_label_maps,
    check_negative_label,
    check_num_labels,
    check_outputs,
    check_problem_type,
    check_shared_options,
    check_text_encoder,
    check_vision_encoder,
)
from .decision_thresholds import checked_thresholds
from .negative_label import AUTO, MULTI_LABEL, NEGATIVE, as_spelled, negative_of

# Fields that describe the labels of a model and lose their meaning when another set of labels replaces them.
LABEL_FIELDS = (
    "id2label",
    "label2id",
    "negative_label",
    "symmetric_relations",
    "inverse_labels",
    "tail_first_bias",
    "decision_thresholds",
    "label_log_priors",
)
# Options of every configuration that are not fields of its class.
GENERAL_OPTIONS = ("num_labels", "attn_implementation", "output_attentions", "torch_dtype", "name_or_path", "auto_map")


@strict
class RelationConfig(PreTrainedConfig):
    r"""
    The fields that TGDI shares with other models of this task: two encoders, labels and entity order. Their meaning is
    documented in `TGDIConfig`.
    """

    sub_configs_defaults = {
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="bert"),
        "vision_config": SubConfigSpec(config_class=AutoConfig, model_type="clip_vision_model"),
    }
    # `Trainer` gathers all other outputs over the whole evaluation set.
    keys_to_ignore_at_inference: ClassVar[list[str]] = ["directed_logits"]
    # Fields with which the model adds terms to the cross-entropy of its logits, or computes it from others.
    extra_loss_fields: ClassVar[tuple[str, ...]] = ("inverse_labels",)

    if TYPE_CHECKING:  # the types after `__post_init__`, which completes what is omitted
        text_config: Any = None
        vision_config: Any = None
        id2label: dict[int, str] = {}

        @property
        def num_labels(self) -> int: ...

        @num_labels.setter
        def num_labels(self, num_labels: int) -> None: ...
    else:
        text_config: PreTrainedConfig | dict | None = None
        vision_config: PreTrainedConfig | dict | None = None
    num_objects: int = 3
    classifier_dropout: float | int = 0.01
    negative_label: str | None = NEGATIVE
    decision_thresholds: list[float] | None = None
    direction_balanced: bool = False
    symmetric_relations: list[str] | None = None
    inverse_labels: int = 0
    tail_first_bias: float | int | None = None
    initializer_range: float | int = 0.02
    text_revision: str | None = None
    vision_revision: str | None = None

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs):
        """
        As in transformers, with validation of the changes in `kwargs`. If they change the number of labels, all saved
        fields that describe labels are discarded.
        """
        check_id2label(kwargs.get("id2label"))
        num_labels = check_num_labels(kwargs.get("num_labels", len(kwargs.get("id2label") or {}) or None))
        if num_labels is not None and num_labels != len(config_dict.get("id2label") or {}):
            config_dict = {name: value for name, value in config_dict.items() if name not in LABEL_FIELDS}
        if kwargs.get("id2label") is not None:
            kwargs["id2label"] = {int(number): name for number, name in kwargs["id2label"].items()}
            kwargs.setdefault("label2id", {name: number for number, name in kwargs["id2label"].items()})
        loaded = super().from_dict(config_dict, **kwargs)
        (loaded[0] if isinstance(loaded, tuple) else loaded).validate()
        return loaded

    def save_pretrained(self, save_directory: str | PathLike, push_to_hub: bool = False, **kwargs):
        r"""
        As in transformers, without the names of encoders in local folders.

        Args:
            save_directory (`str` or `os.PathLike`): The folder for `config.json`; created if it does not exist.
            push_to_hub (`bool`, *optional*, defaults to `False`): Whether to upload the folder to `repo_id`, which
                defaults to the name of the folder.
            kwargs: Passed to `push_to_hub` (`repo_id`, `token`, `private`, `revision`, `commit_message`, ...).
        """
        # A local folder is meaningless on other machines and reveals a user's paths, so the file must not contain it.
        local_names = [
            (encoder.__dict__, encoder.__dict__.pop("_name_or_path"))
            for encoder in (self.text_config, self.vision_config)
            if "_name_or_path" in encoder.__dict__ and not is_hub_name(encoder._name_or_path)
        ]
        try:
            super().save_pretrained(save_directory)
        finally:
            for attributes, folder in local_names:
                attributes["_name_or_path"] = folder
        self._save_code(save_directory)
        if push_to_hub:
            self.push_to_hub(kwargs.pop("repo_id", Path(save_directory).name), **kwargs)

    def _save_code(self, save_directory: str | PathLike) -> None:
        """Writes the code of the model beside its configuration; nothing by default."""

    def __post_init__(self, **kwargs):
        # Files contain `model_type`. One written by a later version may have fields that this version does not know.
        if "model_type" not in kwargs:
            check_field_names(
                type(self).__name__, kwargs, [field.name for field in fields(self)] + list(GENERAL_OPTIONS)
            )
        num_labels = check_num_labels(kwargs.get("num_labels"))
        if num_labels is None:
            kwargs.pop("num_labels", None)
        check_label_arguments(num_labels, self.id2label, self.label2id)
        if kwargs.get("attn_implementation") is None:  # transformers would drop the implementations of the encoders
            kwargs["attn_implementation"] = {
                name: implementation
                for name in self.sub_configs
                if (implementation := requested_by(getattr(self, name))) is not None
            }
        super().__post_init__(**kwargs)
        for sub_config in (self.text_config, self.vision_config):
            # TGDI never runs code that a nested configuration refers to, and does not pass the reference on.
            for name in ("auto_map", "trust_remote_code"):
                sub_config.__dict__.pop(name, None)

    def validate_architecture(self):
        """Part of `@strict`-powered validation: checks what the type annotations cannot express."""
        check_label_maps(self)
        check_text_encoder(self.text_config)
        check_vision_encoder(self.vision_config)
        check_outputs(self)
        check_shared_options(self)
        check_problem_type(self)
        check_negative_label(self)

    @property
    def thresholds(self) -> list[float] | None:
        """The decision threshold of each label of a multi-label model; `None` for a single-label model."""
        # Validated on every access: assigning to the field does not validate it.
        return checked_thresholds(self.decision_thresholds, self.num_labels, self.problem_type == MULTI_LABEL)

    @property
    def none_label(self) -> int | None:
        """The id of `negative_label`, or `None` if it is not a label."""
        negative = as_spelled(self.negative_label, list(self.id2label.values()))
        return next((i for i, name in self.id2label.items() if name == negative), None)

    def find_negative(self, chosen: str | None = AUTO) -> str | None:
        """The label for "no relation", or `None` if every label is a relation; see `negative_of`."""
        return negative_of(self, [self.id2label[i] for i in range(self.num_labels)], chosen)

    @property
    def max_text_length(self) -> int:
        """The number of tokens, special tokens included, for which the text encoder has positions."""
        return self.text_config.max_position_embeddings - self.position_offset

    @property
    def position_offset(self) -> int:
        """The position of the first token; RoBERTa-style encoders start after the id of the padding token."""
        return 0 if self.text_config.model_type in ("bert", "electra") else self.text_config.pad_token_id + 1

    @property
    def embedding_size(self) -> int:
        """The width of the text encoder's word embeddings; ELECTRA projects them to its hidden size."""
        return getattr(self.text_config, "embedding_size", self.text_config.hidden_size)

    @property
    def _attn_implementation(self) -> str | None:
        return self._attn_implementation_internal

    @_attn_implementation.setter
    def _attn_implementation(self, value: str | dict | None):
        check_attn_implementation(value)
        PreTrainedConfig._attn_implementation.fset(self, value)  # type: ignore[attr-defined]  # a property

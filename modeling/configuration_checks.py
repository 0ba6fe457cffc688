"""Validation of configurations: what their type annotations cannot express."""

from collections.abc import Iterable
from difflib import get_close_matches
from math import inf, isfinite
from typing import Any

from .decision_thresholds import checked_thresholds
from .negative_label import MULTI_LABEL, NEGATIVE, find_negative
from .output_selection import selected_layers
from .region_weights import OBJECT_FEATURES

# The layers of these encoders attend to the keys and values that their cache returns, which is how TGDI injects its
# prefixes. Any other encoder would silently ignore the prefixes, so the list is closed.
TEXT_MODEL_TYPES = ("bert", "roberta", "xlm-roberta", "camembert", "electra")
# The scores of Eq. 8: V Hₛᵀ, as in the paper; divided by √d, like attention scores; or the cosines of V and Hₛ times a
# learned scale, as in CLIP.
SIMILARITY_FUNCTIONS = ("dot", "scaled_dot", "cosine")
# Configuration fields of vision encoders whose hidden states do not hold every patch in its place, and the reason.
UNSUPPORTED_VISION_FIELDS = {
    "mask_ratio": "masks and shuffles patches at random",
    "depths": "halves its grid of patches from stage to stage",
}


def check_field_names(config_name: str, names: Iterable[str], known: list[str]) -> None:
    """Rejects fields that a configuration does not have, and suggests the most similar one."""
    for name in set(names) - set(known):
        similar = get_close_matches(name, known, n=1)
        hint = f"did you mean {similar[0]!r}?" if similar else f"it has {', '.join(sorted(known))}."
        raise ValueError(f"{config_name} has no field {name!r}; {hint}")


def check_num_labels(num_labels: Any) -> int | None:
    """Returns `num_labels` if it is an integer or absent."""
    if num_labels is not None and (not isinstance(num_labels, int) or isinstance(num_labels, bool)):
        raise ValueError(f"`num_labels` is {num_labels!r}; expected the number of labels.")
    return num_labels


def check_id2label(id2label: Any) -> None:
    """Rejects label maps without a name for each id from 0 on: the classifier has one output per id."""
    if id2label is None:
        return
    named = isinstance(id2label, dict) and all(isinstance(name, str) for name in id2label.values())
    # Keys read from JSON are strings.
    if not named or {str(number) for number in id2label} != {str(number) for number in range(len(id2label))}:
        raise ValueError(f"`id2label` is {id2label!r}; expected the label of each id from 0 on: {{0: 'None', 1: ...}}.")


def check_label_arguments(num_labels: int | None, id2label: dict | None, label2id: dict | None) -> None:
    """Checks that the three ways to declare the labels agree."""
    if id2label is None and label2id is not None:
        raise ValueError(f"`label2id` is {label2id} without an `id2label`; pass both, or `id2label` alone.")
    check_id2label(id2label)
    if num_labels is not None and id2label is not None and num_labels != len(id2label):
        raise ValueError(
            f"`num_labels` is {num_labels} but `id2label` names {len(id2label)} labels: {list(id2label.values())}. "
            "Pass one of the two, or make them agree."
        )


def check_label_maps(config) -> None:
    """Checks that the labels of a complete configuration are distinct, and that both label maps agree."""
    if len(set(config.id2label.values())) < config.num_labels:
        raise ValueError(f"`id2label` contains a label twice: {list(config.id2label.values())}.")
    if config.label2id is not None and config.label2id != {name: i for i, name in config.id2label.items()}:
        raise ValueError(
            f"`label2id` is {config.label2id}, which is not the inverse of `id2label` {config.id2label}; pass both, or "
            "`id2label` alone."
        )


def check_text_encoder(text) -> None:
    """Checks that the layers of the text encoder read prefixes."""
    if text.model_type not in TEXT_MODEL_TYPES:
        raise ValueError(
            f"`text_config` is of type {text.model_type!r}; TGDI injects its prompts into the attention of a "
            f"BERT-shaped encoder: one of {', '.join(TEXT_MODEL_TYPES)}."
        )
    if text.is_decoder or text.add_cross_attention:
        raise ValueError("`text_config` is a decoder; TGDI requires an encoder: set `is_decoder=False`.")


def check_vision_encoder(vision) -> None:
    """Checks that every hidden state of the vision encoder holds all patches."""
    required = ("hidden_size", "num_hidden_layers", "image_size", "patch_size")
    missing = [name for name in required if not hasattr(vision, name)]
    if missing:
        raise ValueError(
            f"`vision_config` of type {vision.model_type!r} has no {', '.join(missing)}; TGDI requires a vision "
            "transformer such as clip_vision_model, vit, dinov2 or siglip_vision_model."
        )
    for name, reason in UNSUPPORTED_VISION_FIELDS.items():
        if hasattr(vision, name):
            raise ValueError(
                f"`vision_config` of type {vision.model_type!r} has `{name}`: such an encoder {reason}, but TGDI "
                "compares the same patches in every layer. Use one such as clip_vision_model, vit, dinov2 or "
                "siglip_vision_model."
            )


def check_outputs(config) -> None:
    """Checks the default outputs of `forward`."""
    if not isinstance(config.output_attentions, bool | None):
        raise ValueError(f"`output_attentions` is {config.output_attentions!r}; expected True or False.")
    selected_layers(config.output_hidden_states, config.text_config.num_hidden_layers + 1)


def check_shared_options(config) -> None:
    """Checks the ranges of the numbers that every relation classifier has."""
    if not 0 <= config.classifier_dropout < 1:
        raise ValueError(f"`classifier_dropout` is {config.classifier_dropout}; expected 0 ≤ dropout < 1.")
    if not 0 <= config.initializer_range < inf:
        raise ValueError(
            f"`initializer_range` is {config.initializer_range}; expected a standard deviation, 0 or more."
        )
    if config.num_objects < 0:
        raise ValueError(f"`num_objects` is {config.num_objects}; expected 0 or more.")


def check_mechanisms(config) -> None:
    """Checks the options of TGDI's mechanisms, and that none depends on a mechanism that is switched off."""
    if not 0 <= config.fusion_lambda <= 1:
        raise ValueError(
            f"`fusion_lambda` is {config.fusion_lambda}; expected the weight of f_3 in Eq. 14, from 0 to 1."
        )
    if config.text_dropout is not None and not 0 <= config.text_dropout < 1:
        raise ValueError(f"`text_dropout` is {config.text_dropout}; expected 0 ≤ dropout < 1, or None.")
    if config.similarity_function not in SIMILARITY_FUNCTIONS:
        raise ValueError(
            f"`similarity_function` is {config.similarity_function!r}; expected one of "
            f"{', '.join(map(repr, SIMILARITY_FUNCTIONS))}."
        )
    if not 0 < config.initial_gate < 1:
        raise ValueError(f"`initial_gate` is {config.initial_gate}; expected a number between 0 and 1, exclusive.")
    weight = config.matching_loss_weight
    if not 0 <= weight < inf or (weight and not config.use_matching_gate):
        raise ValueError(
            f"`matching_loss_weight` is {weight}; expected 0 or more, and 0 without the gate that the loss trains "
            "(`use_matching_gate=False`)."
        )
    weight, has_branches = config.branch_consistency_weight, config.use_text_oriented_interaction
    has_branches = has_branches and config.use_result_fusion
    if not 0 <= weight < inf or (weight and not has_branches):
        raise ValueError(
            f"`branch_consistency_weight` is {weight}; expected 0 or more, and 0 without two branches "
            "(`use_text_oriented_interaction=False` or `use_result_fusion=False`)."
        )
    if not 0 <= config.text_loss_weight < inf:
        raise ValueError(f"`text_loss_weight` is {config.text_loss_weight}; expected 0 or more.")
    _check_logit_adjustment(config)
    if config.gate_attention and not config.use_matching_gate:
        raise ValueError("`gate_attention=True` requires the gate: `use_matching_gate=True`.")
    if config.gate_is_probability and not config.use_matching_gate:
        raise ValueError("`gate_is_probability=True` requires the gate: `use_matching_gate=True`.")
    error = config.gate_calibration_error
    if error is not None and not 0 <= error <= 1:
        raise ValueError(f"`gate_calibration_error` is {error}; expected a number from 0 to 1, or `None`.")
    if config.gate_visual_prompts and not (config.use_matching_gate and config.use_visual_prompts):
        raise ValueError(
            "`gate_visual_prompts=True` requires the gate and the prompts: `use_matching_gate=True` and "
            "`use_visual_prompts=True`."
        )
    if config.prompt_grid < 1:
        raise ValueError(f"`prompt_grid` is {config.prompt_grid}; expected 1 or more.")
    if config.object_features not in OBJECT_FEATURES:
        raise ValueError(
            f"`object_features` is {config.object_features!r}; expected one of {', '.join(map(repr, OBJECT_FEATURES))}."
        )
    num_layers = config.text_config.num_hidden_layers
    if not 1 <= config.toi_num_layers <= num_layers:
        raise ValueError(
            f"`toi_num_layers` is {config.toi_num_layers}; the text-oriented layers start from the {num_layers} layers "
            f"of the text encoder: expected 1 to {num_layers}. To switch the text-oriented interaction off, set "
            "`use_text_oriented_interaction=False`."
        )


def _check_logit_adjustment(config) -> None:
    if not 0 <= config.logit_adjustment < inf:
        raise ValueError(f"`logit_adjustment` is {config.logit_adjustment}; expected 0 or more.")
    priors, count = config.label_log_priors, config.num_labels + config.inverse_labels
    if priors is not None and (len(priors) != count or not all(isfinite(prior) and prior <= 0 for prior in priors)):
        raise ValueError(
            f"`label_log_priors` is {priors}; expected {count} logarithms of frequencies, one per label and inverse "
            "relation: finite numbers of 0 or less."
        )


def check_problem_type(config) -> None:
    """Checks that the options of single-label and multi-label models are not mixed."""
    multi_label = config.problem_type == MULTI_LABEL
    if config.problem_type not in (None, "single_label_classification", MULTI_LABEL):
        raise ValueError(
            f"`problem_type` is {config.problem_type!r}; relations are classes: expected "
            f"'single_label_classification', {MULTI_LABEL!r} or `None`."
        )
    checked_thresholds(config.decision_thresholds, config.num_labels, multi_label)
    if not multi_label:
        return
    for name in (
        "direction_balanced",
        "branch_consistency_weight",
        "text_loss_weight",
        "inverse_labels",
        "logit_adjustment",
    ):
        if getattr(config, name, False):
            raise ValueError(f"`{name}` requires mutually exclusive labels; omit it for a multi-label model.")
    if config.none_label is not None:
        raise ValueError(
            f"{config.id2label[config.none_label]!r} is a label of a multi-label model, which expresses no relation by "
            "predicting no label: remove it from `id2label`; rows without a relation have no label."
        )


def check_negative_label(config) -> None:
    """Checks that a declared negative label exists, that inverse labels have one to fold into, and its log-odds."""
    if config.tail_first_bias is not None and not isfinite(config.tail_first_bias):
        raise ValueError(f"`tail_first_bias` is {config.tail_first_bias}; expected a finite number, or `None`.")
    if config.negative_label != NEGATIVE:  # the default, which not every model has as a label
        find_negative(list(config.id2label.values()), config.negative_label)
    if config.inverse_labels and not (
        0 < config.inverse_labels < config.num_labels and config.direction_balanced and config.none_label is not None
    ):
        raise ValueError(
            f"`inverse_labels` is {config.inverse_labels} with {config.num_labels} labels and `direction_balanced="
            f"{config.direction_balanced}`; expected less than the number of labels, a label for no relation "
            "(`negative_label`), and training on both orders of every pair: `direction_balanced=True`."
        )
    if config.num_labels < 2:
        raise ValueError(f"`num_labels` is {config.num_labels}; a relation classifier requires 2 or more.")

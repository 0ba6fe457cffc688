"""The negative label: which label of a model or data set stands for "no relation"."""

import re
from collections.abc import Sequence

from transformers.utils import logging

logger = logging.get_logger(__name__)

NEGATIVE = "None"  # the negative label of MNRE-2
_MNRE_1_SPELLING = "none"
AUTO = "auto"
MULTI_LABEL = "multi_label_classification"
# Names of the negative label in other data sets, in lower case without punctuation.
_USUAL = """
background empty false n na nan negative negativelabel neither nil no noclass none nonrelated nonrelation
noneoftheabove norel norelation norelationship nota notarelation notapplicable notrelated nothing null o other others
undefined unknown unrelated 无 无关系 没有关系 其他 未知
"""
_USUAL_NAMES = frozenset(_USUAL.split())


def likely_negatives(names: Sequence[str]) -> list[str]:
    """The labels whose name usually stands for "no relation": `no_relation`, `NA`, `Other`, `none`, …"""
    bare = {name: re.sub(r"\(.*\)$|[\W_]+", "", name.lower()) for name in names}  # "Other(e1,e2)", too
    return [name for name in names if bare[name] in _USUAL_NAMES or not name.strip()]


def as_spelled(negative: str | None, names: Sequence[str]) -> str | None:
    """`negative` in the spelling of the labels: `"None"` is `"none"` where only the latter, MNRE-1's, is a label."""
    is_mnre_1 = negative == NEGATIVE and NEGATIVE not in names and _MNRE_1_SPELLING in names
    return _MNRE_1_SPELLING if is_mnre_1 else negative


def find_negative(names: Sequence[str], chosen: str | None = AUTO) -> str | None:
    r"""
    Determines the label for "no relation", which is excluded from precision, recall and F1, from triples, and from the
    predictions of a pipeline with `drop_none`.

    Args:
        names (`list[str]`): The labels.
        chosen (`str`, *optional*, defaults to `"auto"`): The negative label; `None` if every label is a relation;
            `"auto"` for `"None"` or, in MNRE-1's spelling, `"none"` if that is a label.

    Returns:
        `str` or `None`: The negative label, or `None` if every label is a relation.

    Raises:
        ValueError: `chosen` is not a label; or, with `"auto"`, no label is `"None"` or `"none"`, but the name of one
            usually has the same meaning.
    """
    names = list(names)
    if chosen == AUTO and AUTO not in names:
        negative = as_spelled(NEGATIVE, names)
        if negative in names:
            _check_twins(names, negative)
            return negative
        if likely := likely_negatives(names):
            raise ValueError(undeclared_negative(likely, names))
        return None
    chosen = as_spelled(chosen, names)
    if chosen is not None and chosen not in names:
        hint = f" Did you mean {likely[0]!r}?" if (likely := likely_negatives(names)) else ""
        raise ValueError(
            f"The negative label is {chosen!r}, which is not a label; the labels are {', '.join(names)}.{hint} Pass "
            "the name of the label that stands for no relation, or `None` (`--no-negative`) if every label is a "
            "relation."
        )
    return chosen


def _check_twins(names: Sequence[str], negative: str) -> None:
    """Rejects labels that differ from `negative` in case and spaces only, and warns of others with the same meaning."""
    twins = [name for name in names if name != negative and name.strip().lower() == negative.lower()]
    if twins:
        raise ValueError(
            f"The labels {negative!r} and {twins[0]!r} are different labels; only the first stands for no relation. "
            "Use one spelling in the data."
        )
    if others := [name for name in likely_negatives(names) if name != negative]:
        logger.warning_once(
            f"{negative!r} stands for no relation; {', '.join(map(repr, others))} is treated as a relation."
        )


def negative_of(config, names: Sequence[str], chosen: str | None = AUTO) -> str | None:
    r"""
    `find_negative` for a model, where `"auto"` takes its `config.negative_label`. A multi-label model has no negative
    label: it expresses "no relation" by predicting no label.

    Args:
        config (`PreTrainedConfig`): The model's configuration.
        names (`list[str]`): The labels of the model, or of a data set that it is trained or evaluated on.
        chosen (`str`, *optional*, defaults to `"auto"`): See `find_negative`.
    """
    if getattr(config, "problem_type", None) == MULTI_LABEL:
        if chosen not in (AUTO, None):
            raise ValueError(
                f"`negative_label` is {chosen!r}; a multi-label model has none: it expresses no relation by predicting "
                "no label."
            )
        return None
    declared = as_spelled(getattr(config, "negative_label", NEGATIVE), names)
    if chosen == AUTO and (declared is None or declared in names):
        return declared
    return find_negative(names, chosen)


def undeclared_negative(likely: Sequence[str], names: Sequence[str]) -> str:
    """The error message for a label that seems to stand for "no relation" but is not declared."""
    return (
        f"No label is called {NEGATIVE!r}, but {' and '.join(map(repr, likely))} may stand for no relation. If it "
        "were evaluated as a relation, precision, recall and F1 would equal accuracy. Pass "
        f"`negative_label={likely[0]!r}` (`--negative {likely[0]!r}`) if it stands for no relation, or "
        f"`negative_label=None` (`--no-negative`) if all {len(names)} labels are relations."
    )

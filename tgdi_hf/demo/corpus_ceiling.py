"""Upper bound of text-only models on the embedded corpus."""

from collections import Counter
from itertools import product

from datasets import Dataset


def text_only_ceiling(dataset: Dataset) -> float:
    r"""
    The best expected micro-F1 without `None` of a model that reads the texts alone.

    Such a model can label every post that does not need its image. The texts of an ambiguous group are independent of
    the label, so the model has to give one answer to the whole group: its most frequent relation, which is right for
    one post in three by default, or `None`, which costs recall but no precision. Each group is given the better one.

    Args:
        dataset (`datasets.Dataset`): A split of `make_corpus`.

    Returns:
        `float`: from 0 to 1; 0.667 for the default shares.
    """
    groups: dict[str, Counter] = {}
    names = dataset.features["label"].names
    determined = 0  # relations that the text determines
    for needs_image, template, label in zip(dataset["needs_image"], dataset["template"], dataset["label"], strict=True):
        if needs_image:
            groups.setdefault(template.rpartition(" ")[0], Counter())[names[label]] += 1
        else:
            determined += names[label] != "None"
    # Per group: (right, answered) for its most frequent relation, and for None.
    answers, relations = [], determined
    for labels in groups.values():
        answered = labels.total()
        relations += answered - labels.pop("None", 0)
        answers.append([(max(labels.values(), default=0), answered), (0, 0)])
    scores = []
    for choice in product(*answers):
        right = determined + sum(group_right for group_right, _ in choice)
        answered = determined + sum(group_answered for _, group_answered in choice)
        scores.append(2 * right / max(answered + relations, 1))
    return max(scores)

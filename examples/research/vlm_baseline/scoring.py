"""From rows to scores of relations."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from datasets import Dataset

from tgdi_hf.data.dataset_columns import undecoded
from tgdi_hf.processing.image_opening import open_image

from .model import Likelihoods, VisionLanguageModel
from .prompts import CONTENT_FREE, Question, post_text, question_text
from .relations import allowed_for
from .shots import Shots, identities_of

NORMALIZATIONS = ("sum", "mean")


class Scoring(NamedTuple):
    r"""
    How answers are scored.

    Args:
        normalization: `"sum"`: the log-likelihood of the answer; `"mean"`: divided by its tokens. The sum is the
            probability that the model gives this answer. It favours short answers among equally good ones (Brown et
            al., NeurIPS 2020, Sec. 2.4 divide by the length), but little if the prompt lists them all: after the first
            tokens that tell an answer from the others, the rest is copied. The mean favours long ones for that reason.
        calibrate: Whether the score of the same answer for a post without content is subtracted (contextual
            calibration, Zhao et al., ICML 2021).
        example_images: Whether examples have their images.
    """

    normalization: str = "sum"
    calibrate: bool = False
    example_images: bool = True


def score_rows(
    model: VisionLanguageModel,
    rows: Any,
    names: Sequence[str],
    descriptions: dict[str, str],
    shots: Shots,
    scoring: Scoring,
    start: int = 0,
    listed: Dataset | None = None,
) -> Iterator[dict[str, Any]]:
    r"""
    Scores the relations that each row may have.

    Args:
        model: The model.
        rows: Rows with `label`, as the model reads them.
        names: The relations in the order of their ids.
        descriptions: Of each relation.
        shots: Chooses the examples.
        scoring: How answers are scored.
        start: The first row.
        listed: The same rows before a perturbation: examples share no image with these either.

    Yields:
        For each row its number, `relation`, the `predicted` one, the `scores` of those it may have, and the `examples`
        as indices into the train split.

    Raises:
        ValueError: A row cannot be read; the message names it.
    """
    special = model.special_tokens
    ask = partial(_question, special=special)
    priors: dict[tuple, list[float]] = {}
    original = rows if listed is None else undecoded(listed)
    for place in range(start, len(rows)):
        row, where = rows[place], f"row {place}"
        allowed = allowed_for(row, names, where)
        options = {name: descriptions[name] for name, possible in zip(names, allowed) if possible}
        question = ask(row, where)
        chosen = []
        if shots.count:
            images = identities_of(row, where) | identities_of(original[place], where)
            chosen = shots(_text_of(row), images, allowed, where)
        examples = []
        for example in chosen:
            source = shots.rows[example]
            examples.append(ask(source, f"train, row {example}")._replace(answer=names[source["label"]]))
        found = _normalised(model.score(options, examples, question, where, scoring.example_images), scoring)
        if scoring.calibrate:
            key = (*options, *chosen)
            if key not in priors:
                free = Question(post_text(CONTENT_FREE, CONTENT_FREE, CONTENT_FREE))
                likelihoods = model.score(options, examples, free, f"{where}, calibration", scoring.example_images)
                priors[key] = _normalised(likelihoods, scoring)
            found = [score - prior for score, prior in zip(found, priors[key])]
        scores = dict(zip(options, found))
        yield {
            "row": place,
            "relation": names[row["label"]],
            "predicted": max(scores, key=scores.__getitem__),
            "scores": scores,
            "examples": chosen,
        }


def _question(row: dict[str, Any], where: str, special: Sequence[str]) -> Question:
    image = None if row.get("image") is None else open_image(row["image"], f"{where}, image")
    return Question(question_text(row, where, special), image)


def _text_of(row: dict[str, Any]) -> str:
    return row["text"] if row.get("words") is None else " ".join(row["words"])


def _normalised(likelihoods: Likelihoods, scoring: Scoring) -> list[float]:
    if scoring.normalization == "sum":
        return likelihoods.sums
    return [total / length for total, length in zip(*likelihoods)]

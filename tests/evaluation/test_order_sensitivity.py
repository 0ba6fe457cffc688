import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from datasets import Dataset

from tgdi_hf.evaluation.order_sensitivity import order_sensitivity, scores_with_unknown_order
from tgdi_hf.processing.entity_order import MNRE_TAIL_FIRST_BIAS
from tgdi_hf.processing.scored_batch import ScoredBatch

NAMES = ["None", "/per/per/peer", "/per/org/member_of"]
BALANCED = SimpleNamespace(direction_balanced=True)
PUBLISHED = SimpleNamespace(direction_balanced=False, tail_first_bias=MNRE_TAIL_FIRST_BIAS)


def rows_of(*tail_first):
    spans = [[[2, 3], [0, 1]] if reverse else [[0, 1], [2, 3]] for reverse in tail_first]
    return Dataset.from_dict(
        {"text": ["a b"] * len(spans), "head": [s[0] for s in spans], "tail": [s[1] for s in spans]}
    )


def odds(none, peer, member):
    return np.array([none, peer, member]) / (none + peer + member)


def test_a_relation_is_found_only_in_its_direction():
    # Odds of peer and member as listed, and swapped; all with the same label, but for the last two.
    listed = np.stack([odds(1, 0, 2), odds(1, 0, 2), odds(1, 0, 2), odds(1, 0, 0.1), odds(1, 0, 0.5), odds(1, 3, 0)])
    swapped = np.stack([odds(1, 0, 1), odds(1, 0, 3), odds(1, 0, 1), odds(1, 0, 0.2), odds(1, 0, 4), odds(1, 0, 0)])
    labels = np.array([2, 2, 2, 2, 0, 0])
    rows = rows_of(False, False, True, False, False, False)
    found = scores_with_unknown_order(listed, swapped, labels, NAMES, BALANCED, rows)
    # Found, found the wrong way round, found with the tail first, passed over; then a relation for nothing, swapped,
    # and peers, with the mean of the odds 3 and 0. Of 5 answers 2 are right, of 4 relations 2 are found.
    assert found == pytest.approx({"unrelated_given": 1.0, "precision": 2 / 5, "recall": 2 / 4, "f1": 4 / 9})
    shares = order_sensitivity(listed, swapped, labels, NAMES, BALANCED, rows)
    assert shares == {"rows": 2, "listed": 0.5, "swapped": 0.5, "order_unknown": found}
    assert order_sensitivity(listed, swapped, np.full(6, 2), NAMES, BALANCED, rows) == {}


def test_a_symmetric_relation_is_found_in_either_direction():
    listed, swapped = odds(1, 3, 2)[None], odds(1, 1.5, 2.1)[None]
    for order in (False, True):
        found = scores_with_unknown_order(listed, swapped, np.array([1]), NAMES, BALANCED, rows_of(order))
        assert found["f1"] == 1  # 2.25 is more than 2.1
    strict = SimpleNamespace(direction_balanced=True, symmetric_relations=[])
    assert scores_with_unknown_order(listed, swapped, np.array([1]), NAMES, strict, rows_of(False))["f1"] == 1
    assert scores_with_unknown_order(swapped, listed, np.array([1]), NAMES, strict, rows_of(False))["f1"] == 0


def test_the_bias_of_the_published_order_is_corrected():
    correction = math.exp(MNRE_TAIL_FIRST_BIAS)
    for of_order, expected in ((0.9 * correction, 0), (1.1 * correction, 1)):
        listed, swapped = odds(1, 0, 0)[None], odds(1, 0, of_order)[None]
        found = scores_with_unknown_order(listed, swapped, np.array([0]), NAMES, PUBLISHED, rows_of(False))
        assert found["unrelated_given"] == expected
        assert scores_with_unknown_order(listed, swapped, np.array([0]), NAMES, BALANCED, rows_of(False))["f1"] == 0


def test_a_pair_of_one_span_is_left_out():
    rows = Dataset.from_dict({"text": ["a b"] * 2, "head": [[0, 1]] * 2, "tail": [[0, 1], [2, 3]]})
    listed = np.stack([odds(1, 0, 9), odds(1, 0, 0)])
    found = scores_with_unknown_order(listed, listed, np.array([0, 0]), NAMES, BALANCED, rows)
    assert found["unrelated_given"] == 0


def test_entity_names_and_other_dataset_formats_are_accepted():
    listed, swapped, labels = odds(1, 0, 2)[None], odds(1, 0, 1)[None], np.array([2])
    by_name = Dataset.from_dict({"text": ["Ann meets Bob"], "head": ["Ann"], "tail": ["Bob"]})
    for rows in (by_name, rows_of(False).with_format("numpy")):
        assert scores_with_unknown_order(listed, swapped, labels, NAMES, BALANCED, rows)["f1"] == 1
    twice = Dataset.from_dict({"text": ["Ann meets Bob"], "head": ["Ann"], "tail": ["Ann "]})
    assert scores_with_unknown_order(listed, swapped, np.array([0]), NAMES, BALANCED, twice)["unrelated_given"] == 0


@pytest.mark.parametrize("balanced", [True, False])
def test_the_pipeline_predicts_the_same(pipe, monkeypatch, balanced):
    """Random probabilities take the place of those that the pipeline would compute for both orders."""
    chance = np.random.default_rng(0)
    tail_first, labels = chance.integers(2, size=400), chance.integers(3, size=400)
    rows = rows_of(*tail_first.tolist())
    in_text_order, against_it = chance.dirichlet([1, 1, 1], size=(2, 400))
    if not balanced:
        against_it *= [math.exp(-MNRE_TAIL_FIRST_BIAS), 1, 1]
        against_it /= against_it.sum(axis=1, keepdims=True)
    table = np.stack([in_text_order, against_it], axis=1).reshape(800, 3)
    at = iter(range(0, 800, 32))

    def forward(batch, **settings):
        start = next(at)
        found = torch.from_numpy(table[start : start + len(batch.inputs["input_ids"])])
        return ScoredBatch(batch.posts, probabilities=found)

    config = BALANCED if balanced else PUBLISHED
    monkeypatch.setattr(pipe, "forward", forward)
    monkeypatch.setattr(pipe, "names", tuple(NAMES))
    monkeypatch.setattr(pipe, "symmetric", [False, True, False])
    monkeypatch.setattr(pipe.model.config, "direction_balanced", balanced)
    monkeypatch.setattr(pipe.model.config, "tail_first_bias", MNRE_TAIL_FIRST_BIAS)
    posts = [{"text": row["text"], "entities": [row["head"], row["tail"]]} for row in rows]
    answers = [result["pairs"][0] for result in pipe(posts, batch_size=16)]
    found = np.array([NAMES.index(answer["relation"]) for answer in answers])
    reverse = np.array([answer["head"]["start"] == 2 for answer in answers])
    assert {(0, False), (1, False), (2, False), (2, True)} == set(zip(found.tolist(), reverse.tolist()))
    right = (found == labels) & (found != 0) & ((found == 1) | (reverse == tail_first))
    precision, recall = right.sum() / (found != 0).sum(), right.sum() / (labels != 0).sum()
    listed = np.where(tail_first[:, None], against_it, in_text_order)
    swapped = np.where(tail_first[:, None], in_text_order, against_it)
    assert scores_with_unknown_order(listed, swapped, labels, NAMES, config, rows) == pytest.approx(
        {
            "unrelated_given": (found != 0)[labels == 0].mean(),
            "precision": precision,
            "recall": recall,
            "f1": 2 * precision * recall / (precision + recall),
        }
    )

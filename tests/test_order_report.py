import math
from types import SimpleNamespace

import numpy as np
import pytest
from datasets import Dataset

from tgdi_hf.evaluation import Swapped, probabilities_of
from tgdi_hf.order_report import direction_of, with_order_unknown
from tgdi_hf.posts import undecoded
from tgdi_hf.processing.entity_pairs import MNRE_TAIL_FIRST_BIAS
from tgdi_hf.processing.pipeline_tgdi import MultimodalRelationExtractionPipeline

NAMES = ["None", "/per/per/peer", "/per/org/member_of"]
BALANCED = SimpleNamespace(direction_balanced=True)
PUBLISHED = SimpleNamespace(direction_balanced=False)
QUICK = {"use_cpu": True, "dataloader_num_workers": 0}


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
    found = with_order_unknown(listed, swapped, labels, NAMES, BALANCED, rows)
    # Found, found the wrong way round, found with the tail first, passed over; then a relation for nothing, swapped,
    # and peers, with the mean of the odds 3 and 0. Of 5 answers 2 are right, of 4 relations 2 are found.
    assert found == pytest.approx({"unrelated_given": 1.0, "precision": 2 / 5, "recall": 2 / 4, "f1": 4 / 9})
    shares = direction_of(listed, swapped, labels, NAMES, BALANCED, rows)
    assert shares == {"rows": 2, "listed": 0.5, "swapped": 0.5, "order_unknown": found}
    assert direction_of(listed, swapped, np.full(6, 2), NAMES, BALANCED, rows) == {}


def test_a_relation_that_holds_both_ways_is_found_in_either():
    listed, swapped = odds(1, 3, 2)[None], odds(1, 1.5, 2.1)[None]
    for order in (False, True):
        found = with_order_unknown(listed, swapped, np.array([1]), NAMES, BALANCED, rows_of(order))
        assert found["f1"] == 1  # 2.25 is more than 2.1
    strict = SimpleNamespace(direction_balanced=True, symmetric_relations=[])
    assert with_order_unknown(listed, swapped, np.array([1]), NAMES, strict, rows_of(False))["f1"] == 1
    assert with_order_unknown(swapped, listed, np.array([1]), NAMES, strict, rows_of(False))["f1"] == 0


def test_what_a_published_order_says_is_taken_off():
    correction = math.exp(MNRE_TAIL_FIRST_BIAS)
    for of_order, expected in ((0.9 * correction, 0), (1.1 * correction, 1)):
        listed, swapped = odds(1, 0, 0)[None], odds(1, 0, of_order)[None]
        found = with_order_unknown(listed, swapped, np.array([0]), NAMES, PUBLISHED, rows_of(False))
        assert found["unrelated_given"] == expected
        assert with_order_unknown(listed, swapped, np.array([0]), NAMES, BALANCED, rows_of(False))["f1"] == 0


def test_one_span_twice_is_no_pair():
    rows = Dataset.from_dict({"text": ["a b"] * 2, "head": [[0, 1]] * 2, "tail": [[0, 1], [2, 3]]})
    listed = np.stack([odds(1, 0, 9), odds(1, 0, 0)])
    found = with_order_unknown(listed, listed, np.array([0, 0]), NAMES, BALANCED, rows)
    assert found["unrelated_given"] == 0


@pytest.mark.parametrize("balanced", [True, False])
def test_the_pipeline_says_the_same(corpus, model, processor, balanced):
    model.config.direction_balanced = balanced
    model.classifier.bias.data[0] = -0.5  # so that not all of it is None
    names = [model.config.id2label[i] for i in range(model.config.num_labels)]
    dataset, rows = corpus["test"], undecoded(corpus["test"])
    listed = probabilities_of(model, processor, names, rows, **QUICK)
    swapped = probabilities_of(model, processor, names, Swapped(rows), **QUICK)
    found = with_order_unknown(listed, swapped, np.array(dataset["label"][:]), names, model.config, dataset)
    pipe = MultimodalRelationExtractionPipeline(model=model, processor=processor)
    given, right = [], 0
    for row in dataset:
        post = {**row, "entities": [row["head"], row["tail"]], "head": None, "tail": None}
        (answer,) = pipe(post)["pairs"]
        given.append(answer["relation"] != "None")
        both_ways = pipe.symmetric[names.index(answer["relation"])]
        this_way = both_ways or [answer["head"]["start"], answer["head"]["end"]] == list(row["head"])
        right += given[-1] and answer["relation"] == names[row["label"]] and this_way
    unrelated = np.array(dataset["label"][:]) == 0
    assert any(given)
    assert found["unrelated_given"] == pytest.approx(np.array(given)[unrelated].mean())
    assert found["precision"] == pytest.approx(right / sum(given))
    assert found["recall"] == pytest.approx(right / (~unrelated).sum())

"""What `score_rows` asks a model; its results are tested with real models in `test_main`."""

import pytest

from examples.research.vlm_baseline.model import Likelihoods
from examples.research.vlm_baseline.scoring import Scoring, score_rows
from examples.research.vlm_baseline.shots import Shots
from tgdi_hf.demo.corpus_schema import LABELS

DESCRIPTIONS = {name: name.upper() for name in LABELS}


class Recorder:
    """A model whose likelihood of an answer is given by its place and the question."""

    special_tokens = ()

    def __init__(self):
        self.asked = []

    def score(self, options, examples, question, where, example_images):
        self.asked.append((options, examples, question, where, example_images))
        free = question.text.startswith("Post: N/A")
        # Without content the last answers are the likeliest; with content all gain alike, but the second more.
        sums = [place - 20.0 + (0 if free else 2.0 + (place == 1)) for place in range(len(options))]
        return Likelihoods(sums, [2 * place + 1 for place in range(len(options))])


def scored(corpus, shots=0, scoring=None, rows=4, **options):
    model, validation = Recorder(), corpus["validation"].select(range(rows))
    examples = Shots(corpus["train"], LABELS, shots)
    records = score_rows(model, validation, LABELS, DESCRIPTIONS, examples, scoring or Scoring(), **options)
    return list(records), model.asked


def test_rows_and_examples_are_asked_as_listed(corpus):
    records, asked = scored(corpus, shots=3)
    for place, (record, (options, examples, question, where, _)) in enumerate(zip(records, asked)):
        row = corpus["validation"][place]
        assert where == f"row {place}" and options == DESCRIPTIONS
        start, end = row["head"]
        assert f"[head]{row['text'][start:end]}[/head]" in question.text
        assert (question.image is None) == (row["image"] is None) and question.answer is None
        assert question.image is None or question.image.size == row["image"].size
        for example, index in zip(examples, record["examples"], strict=True):
            source = corpus["train"][index]
            assert example.answer == LABELS[source["label"]]
            start, end = source["tail"]
            assert f"[tail]{source['text'][start:end]}[/tail]" in example.text
            assert (example.image is None) == (source["image"] is None)


def test_scores_are_sums_or_means(corpus):
    (total, *_), _ = scored(corpus)
    expected = [-18.0, -16.0, *(place - 18.0 for place in range(2, len(LABELS)))]
    assert list(total["scores"].values()) == expected
    assert total["predicted"] == LABELS[-1]
    (mean, *_), _ = scored(corpus, scoring=Scoring(normalization="mean"))
    assert list(mean["scores"].values()) == [score / (2 * place + 1) for place, score in enumerate(expected)]


def test_calibration_subtracts_the_score_without_content(corpus):
    records, asked = scored(corpus, shots=1, scoring=Scoring(calibrate=True))
    assert [record["predicted"] for record in records] == [LABELS[1]] * 4
    assert list(records[0]["scores"].values()) == [2.0, 3.0, *[2.0] * (len(LABELS) - 2)]
    # Once for the same options and examples, with these.
    free = [one for one in asked if one[3].endswith("calibration")]
    assert len(free) == 1 and free[0][2].image is None and free[0][1] == asked[0][1]


def test_a_run_starts_anywhere_and_passes_on_whether_examples_have_images(corpus):
    whole, _ = scored(corpus, shots=1)
    part, asked = scored(corpus, shots=1, scoring=Scoring(example_images=False), start=2)
    assert part == whole[2:]
    assert [one[3:] for one in asked] == [("row 2", False), ("row 3", False)]


def test_examples_share_no_image_with_the_row_before_a_perturbation(corpus):
    """A perturbed row may have lost the image by which its copy in the train split is recognised."""
    (record,), _ = scored(corpus, shots=1, rows=1)
    copy = corpus["train"].select(record["examples"])
    model, shots = Recorder(), Shots(corpus["train"], LABELS, 1)
    perturbed = corpus["validation"].select([0]).map(lambda row: {"image": None})
    (found,) = score_rows(model, perturbed, LABELS, DESCRIPTIONS, shots, Scoring(), listed=copy)
    if copy[0]["image"] is None:
        pytest.fail("the seeded example has an image")
    assert found["examples"] != record["examples"]

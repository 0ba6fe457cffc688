import io

import pytest
from datasets import ClassLabel, Dataset, Features, Image, Value
from PIL import Image as PILImage

from examples.research.vlm_baseline.shots import Shots, identities_of

NAMES = ["None", "a", "b"]
LABELS = [0, 0, 0, 0, 1, 1, 2, 2]


def png(shade):
    file = io.BytesIO()
    PILImage.new("RGB", (4, 4), (shade, 0, 0)).save(file, "PNG")
    return {"bytes": file.getvalue(), "path": None}


@pytest.fixture
def train():
    columns = {
        "text": [f"Text {i}" for i in range(8)],
        "image": [png(i) if i % 2 else None for i in range(8)],
        "image_id": [None, *[f"{i}.jpg" for i in range(1, 8)]],
        "label": LABELS,
    }
    features = Features(
        {"text": Value("string"), "image": Image(), "image_id": Value("string"), "label": ClassLabel(names=NAMES)}
    )
    return Dataset.from_dict(columns, features=features)


def choose(shots, text="other", images=frozenset(), allowed=(True, True, True)):
    return shots(text, images, allowed, "row 0")


@pytest.mark.parametrize("seed", range(5))
def test_relations_take_turns(train, seed):
    chosen = choose(Shots(train, NAMES, 6, seed))
    assert sorted(LABELS[place] for place in chosen) == [0, 0, 1, 1, 2, 2]
    assert {LABELS[place] for place in chosen[:3]} == {0, 1, 2}
    assert len(set(chosen)) == 6
    assert choose(Shots(train, NAMES, 2, seed)) == chosen[:2]
    assert choose(Shots(train, NAMES, 6, seed)) == chosen


def test_the_seed_draws_other_examples(train):
    assert len({tuple(choose(Shots(train, NAMES, 3, seed))) for seed in range(10)}) > 3


def test_examples_have_relations_that_the_row_may_have(train):
    chosen = choose(Shots(train, NAMES, 4), allowed=(True, False, True))
    assert sorted(LABELS[place] for place in chosen) == [0, 0, 2, 2]


@pytest.mark.parametrize("seed", range(5))
def test_the_scored_post_is_no_example(train, seed):
    shots = Shots(train, NAMES, 7, seed)
    assert 5 not in choose(shots, text="  tEXT 5")
    assert 3 not in choose(shots, images=identities_of({"image": png(3)}, "row 0"))
    assert 6 not in choose(shots, images=identities_of({"image_id": "6.jpg"}, "row 0"))
    seven = choose(shots)
    assert len(seven) == len(set(seven)) == 7


def test_too_few_rows_are_refused(train):
    with pytest.raises(ValueError, match="row 0: 9 examples were asked for, and the train split has 8 other posts"):
        choose(Shots(train, NAMES, 9))
    with pytest.raises(ValueError, match="has 2 other posts with a relation that this row may have"):
        choose(Shots(train, NAMES, 3), allowed=(False, True, False))


def test_no_examples(train):
    assert choose(Shots(train, NAMES, 0)) == []


def test_an_image_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ValueError, match="row 4: the image cannot be read: .*gone.png"):
        identities_of({"image": {"bytes": None, "path": str(tmp_path / "gone.png")}}, "row 4")

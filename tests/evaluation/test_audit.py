import json
import random
from pathlib import Path

import datasets
import pytest
import torch
from datasets import ClassLabel, Dataset

pytest.importorskip("sklearn", reason="needs the extra `audit`")
from typer.testing import CliRunner

from tgdi_hf import load_mnre, make_corpus
from tgdi_hf.cli.main import app
from tgdi_hf.data.mnre_crops import listed_crops
from tgdi_hf.evaluation import audit_classifier
from tgdi_hf.evaluation.audit import audit
from tgdi_hf.evaluation.audit_features import features_of
from tgdi_hf.evaluation.audit_tables import audit_as_markdown

from ..data.mnre_folder import post, write_split
from .audited import image, nothing, objects, order, rows_of

MNRE = Path(__file__).parents[3] / "shared" / "mnre"


@pytest.fixture(autouse=True)
def _small_forest(monkeypatch):
    """20 trees find the leaks of these tests as well as 200 and take a tenth of the time."""
    monkeypatch.setattr(audit_classifier, "TREES", 20)


@pytest.mark.parametrize(("leak", "feature"), [(objects, "number of objects"), (order, "head comes first")])
def test_leaks_are_found(leak, feature):
    found = audit({"train": rows_of(600, leak)})
    target = found["targets"]["relation or None"]
    assert feature in found["noteworthy"]
    assert target["features"][0]["feature"] in (feature, "greatest area of an object", "least area of an object")
    assert target["accuracy"] > target["majority"] + 0.1
    assert target["gain"]["low"] < target["gain"]["value"] < target["gain"]["high"]
    assert f"| {feature} | " in audit_as_markdown(found)


def test_a_hint_that_changes_no_prediction_is_found():
    """Of posts with an object 40 % have a relation, of those without 10 %: `None` is the best answer either way."""

    def hint(label, chance, post):
        return {"objects": [[0.0, 0.0, 4.0, 4.0]] * (chance.random() < (0.9 if label else 0.4))}

    def rare(rows):
        return rows.select([i for i, label in enumerate(rows["label"]) if label == 0 or i % 2])

    found = audit({"train": rare(rows_of(900, hint))})
    best = found["targets"]["relation or None"]["features"][0]
    assert best["gain"]["value"] == 0 and best["area"]["low"] > 0.6
    assert "number of objects" in found["noteworthy"]


def test_unrelated_features_are_not_noteworthy():
    found = audit({"train": rows_of(600, nothing)})
    assert found["noteworthy"] == []
    assert found["targets"]["relation or None"]["gain"]["low"] <= 0


@pytest.mark.no_cover
def test_the_embedded_corpus_is_clean():
    found = audit(make_corpus({"train": 900, "validation": 90, "test": 90}))
    assert found["noteworthy"] == []
    assert all(target["gain"]["low"] <= 0 for target in found["targets"].values())
    assert all(of[kind] == 0 for of in found["shared"].values() for kind in ("texts", "pairs"))


def test_rows_shared_between_splits_are_counted():
    names = [f"{i}.jpg" for i in range(20)]
    rows = [{"text": f"Ann {i} Bob", "head": [0, 3], "tail": "Bob", "label": i % 2} for i in range(20)]
    train = Dataset.from_list(rows).add_column("image_id", names)
    train = train.cast_column("label", ClassLabel(names=["None", "r"]))
    test = Dataset.from_list(
        [
            {"text": "ann  3 bob", "head": "ann", "tail": "bob", "image_id": "x.jpg"},
            {"text": "Bob sees Ann", "head": "Bob", "tail": "Ann", "image_id": "4.jpg"},
            {"text": "Eve and Tom", "head": "Eve", "tail": "Tom", "image_id": ""},
        ]
    )
    found = audit({"train": train, "test": test})
    assert found["shared"] == {"test": {"rows": 3, "texts": 1, "images": 1, "pairs": 2}}


@pytest.mark.slow  # reads all of MNRE
@pytest.mark.skipif(not MNRE.is_dir(), reason=f"needs {MNRE}")
def test_the_leaks_of_mnre_are_found():
    dataset = load_mnre(MNRE, splits=["train"])
    listed = listed_crops(MNRE, "train")
    found = audit(dataset, extra={"published crops listed": [listed[name] for name in dataset["train"]["id"]]})
    # The more pairs are listed for a post, the fewer of them have a relation: a weak hint next to the order. Each
    # feature is scored alone, so these two are also the noteworthy ones without the crops.
    assert found["noteworthy"] == ["published crops listed", "head comes first", "rows with the same image"]
    target = found["targets"]["relation or None"]
    areas = {one["feature"]: one["area"]["value"] for one in target["features"]}
    assert areas["rows with the same image"] < 0.6 < areas["head comes first"] < 0.7
    assert target["features"][0]["feature"] == "published crops listed"
    assert target["features"][0]["accuracy"] == pytest.approx(0.993, abs=0.001)
    assert target["features"][0]["area"]["low"] > 0.98


def test_images_are_recognised_by_content():
    rows = [{"text": f"Ann {i} Bob", "head": [0, 3], "tail": "Bob", "label": i % 2} for i in range(20)]
    names = ClassLabel(names=["None", "r"])

    def split(images):
        columns = [{**row, "text": f"{row['text']} {len(images)}", "image": one} for row, one in zip(rows, images)]
        return Dataset.from_list(columns).cast_column("label", names).cast_column("image", datasets.Image())

    # All are called alike: only what is in them says which is which.
    train = split([{"bytes": image(i, (8 + i, 8)), "path": "1.png"} for i in range(20)])
    test = split([{"bytes": image(i, (8 + i, 8)), "path": "2.png"} for i in range(3)])
    features = features_of(train)
    assert features["width"].tolist() == [8 + i for i in range(20)]
    assert features["rows with the same image"].tolist() == [1] * 20
    assert audit({"train": train, "test": test})["shared"]["test"]["images"] == 3


def test_patterns_of_file_names_are_found():
    def named(label, chance, post):
        return {"image_id": f"{'pos' if label else 'neg'}_{chance.randrange(1000, 10000)}.jpg"}

    found = audit({"train": rows_of(600, named)})
    assert found["targets"]["relation or None"]["accuracy"] > 0.99
    assert found["noteworthy"][0] == "pattern of the image's name"


def test_a_hint_at_the_relation_is_found():
    chance, rows = random.Random(0), []
    for i in range(600):
        label = chance.randrange(3)
        number = label or chance.choice((1, 2))  # as many with a relation as without have one, and two
        rows.append({"text": f"Ann {i} Bob", "head": [0, 3], "tail": "Bob", "label": label,
                     "objects": [[0.0, 0.0, 4.0, 4.0]] * number})  # fmt: skip
    names = ClassLabel(names=["None", "/per/per/peer", "/per/org/member_of"])
    rows = Dataset.from_list(rows).cast_column("label", names)
    found = audit({"train": rows})
    assert "number of objects" in found["noteworthy"]
    one = next(of for of in found["targets"]["relation or None"]["features"] if of["feature"] == "number of objects")
    assert one["gain"]["low"] < 0.01 and one["area"]["low"] < 0.55


def test_too_few_posts_and_broken_images_are_refused():
    rows = rows_of(4, nothing)
    with pytest.raises(ValueError, match="'train' has 4 posts; cross-validation needs 5"):
        audit({"train": rows})
    page = {"bytes": b"<!doctype html>", "path": "a.jpg"}
    rows = rows_of(2, nothing).add_column("image", [None, page]).cast_column("image", datasets.Image())
    with pytest.raises(ValueError, match="row 1: a.jpg is not an image"):
        features_of(rows)


def test_the_command_finds_the_number_of_published_crops(tmp_path):
    """In a corpus of its own: a related pair has three crops listed, whose files nobody has, and another pair one."""
    relations = ["/per/per/peer" if i % 2 else "None" for i in range(60)]
    posts = [post(f"Ann meets Bob {i}", tail=(2, 3), relation=relation) for i, relation in enumerate(relations)]
    write_split(tmp_path / "mnre", posts=posts)
    crops = {i: [f"{i}.png"] * (3 if relation != "None" else 1) for i, relation in enumerate(relations)}
    torch.save(crops, tmp_path / "mnre" / "txt" / "mre_train_dict.pth")

    def found(*options):
        result = CliRunner().invoke(app, ["audit", str(tmp_path / "mnre"), "--output", str(output), *options])
        assert result.exit_code == 0, result.output + str(result.exception)
        return json.loads(output.read_text())["noteworthy"]

    output = tmp_path / "made" / "on the way" / "audit.json"
    assert "published crops listed" in found("--objects", "published")
    assert found() == []

import base64
import io
import json

import pytest

from tgdi_hf import import_annotations
from tgdi_hf.data.loading import load_data, read_table

from .label_studio_tasks import ANN, BOB, ROME, annotation, exported, relation, task


def read_lines(file):
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def imported(write, tmp_path):
    def run(content=None, **options):
        file = write(exported() if content is None else content)
        return import_annotations(file, tmp_path / "out", "label-studio", **options)

    return run


def test_the_folder_is_read_by_load_data(imported, tmp_path):
    done = imported(split=(0.6, 0.2, 0.2))
    assert done.posts == {"train": 6, "validation": 2, "test": 2}
    # couple is symmetric: 5 posts with 2 + 4 rows; lives is not: 5 posts with 1 + 4 rows.
    assert done.labels == {"None": 40, "/per/per/couple": 10, "lives": 5} and sum(done.rows.values()) == 55
    dataset = load_data(tmp_path / "out")
    assert dataset["train"].features["label"].names == ["None", "/per/per/couple", "lives"]
    assert {split: len(rows) for split, rows in dataset.items()} == done.rows
    lines = read_lines(tmp_path / "out" / "test.jsonl")
    assert [{**row, "label": None} for row in dataset["test"]] == [{**row, "label": None} for row in lines]
    posts = [{*rows["post_id"]} for rows in dataset.values()]
    assert sum(map(len, posts)) == 10 == len(set.union(*posts))
    assert done.symmetric == ("/per/per/couple",) and "symmetric  /per/per/couple" in done.summary()
    assert "report" not in done.summary() and json.loads((tmp_path / "out/import.json").read_text())["seed"] == 0


def test_posts_with_the_same_text_are_in_one_split(imported):
    same = [{**one, "data": {**one["data"], "text": "😀 Ann meets Bob in Rome"}} for one in exported(8)]
    assert imported(same, split=(0.5, 0.25, 0.25)).posts == {"train": 8}


def test_images_are_found_and_reported(imported, tmp_path, image):
    image.save(tmp_path / "a.png")
    tasks = exported(4)
    for one, name in zip(tasks, ("a.png", "gone.png", None, "https://x.org/a.png")):
        one["data"]["image"] = name
    done = imported(tasks, split=(1, 0, 0))
    found = {row["post_id"]: row["image"] for row in read_lines(tmp_path / "out/train.jsonl")}
    assert found == {"0": "../a.png", "1": None, "2": None, "3": "../a.png"}
    assert read_table(tmp_path / "out")["train"][0]["image"] == str(tmp_path / "a.png")
    assert done.problems == {"image": 1} and "report     1 entries (image 1); see" in done.summary()
    assert read_lines(tmp_path / "out/report.jsonl")[0]["id"] == "1"


def test_images_inside_the_export_are_written(imported, tmp_path, image):
    content = io.BytesIO()
    image.save(content, "PNG")
    uri = "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
    imported(exported(2, image=uri), split=(1, 0, 0))
    (name,) = {row["image"] for row in read_lines(tmp_path / "out/train.jsonl")}
    assert (tmp_path / "out" / name).read_bytes() == content.getvalue() and name.endswith(".png")


def test_multi_label(imported, tmp_path):
    two = [task(annotation(ANN, BOB, ROME, relation("a", "b", "knows", "likes")))]
    done = imported(two, multi_label=True, split=(1, 0, 0))
    assert done.labels == {"None": 4, "knows": 1, "likes": 1}
    dataset = load_data(tmp_path / "out")["train"]
    assert dataset["label"][:2] == [[0, 1], []]


def test_several_annotators_in_the_summary(imported):
    two = [task(annotation(ANN, BOB, relation("a", "b", "knows")), annotation(ANN, BOB, completed_by=2)), *exported(2)]
    two[1]["id"] = 9
    done = imported(two)
    assert "annotators 1 posts by several; unanimous on 0 of 1 relations" in done.summary()
    assert done.problems["disagreement"] == 1


def test_the_same_seed_gives_the_same_files(write, tmp_path):
    file = write(exported())
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        import_annotations(file, tmp_path / name, "label-studio", negatives="sample:1", seed=seed)
    texts = [(tmp_path / name / "train.jsonl").read_text() for name in "abc"]
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"negatives": "some"}, "expected all, none or sample:N"),
        ({"split": (0.5, 0.1, 0.1)}, "add up to 1"),
        ({"symmetric": ["cuople"]}, "`symmetric` contains 'cuople', which is not a relation of the export; its "
                                    "relations are /per/per/couple, lives"),
        ({"annotators": []}, "expected majority, first, or names"),
        ({"annotators": ["majority", "a"]}, "expected majority, first, or names"),
        ({"annotators": "nobody"}, "No relation of the export can be used. The first problems are: .* no annotation by "
                                   "nobody; found 1"),
        ({"offsets": "words"}, "`offsets` is 'words'; expected one of code-points, utf-16"),
        ({"images": "nowhere"}, "nowhere: no such folder"),
    ],
)  # fmt: skip
def test_invalid_arguments(imported, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        imported(**options)
    assert not (tmp_path / "out").exists() and not (tmp_path / "out.part").exists()


def test_files_and_formats_are_checked(write, tmp_path):
    with pytest.raises(ValueError, match="`format` is 'xml'; expected one of label-studio"):
        import_annotations("a", tmp_path / "out", "xml")
    with pytest.raises(ValueError, match="missing: no such file or folder"):
        import_annotations("missing", tmp_path / "out", "label-studio")
    file = write(exported(), "out/export.json")
    with pytest.raises(FileExistsError, match="out is not empty"):
        import_annotations(file, tmp_path / "out", "label-studio")


def test_the_report_of_an_unusable_export_is_kept(imported, tmp_path):
    with pytest.raises(ValueError, match=r"the task has no annotations\. All 2 are in .*out\.report\.jsonl"):
        imported([task(), task()])
    assert len(read_lines(tmp_path / "out.report.jsonl")) == 2
    with pytest.raises(ValueError, match="No relation of the export can be used"):
        imported([task(annotation(ANN, BOB, relation("a", "b", "None")))])


def test_posts_without_a_pair_are_reported(imported, tmp_path):
    imported([*exported(2), task(annotation(ANN), id=9)], split=(1, 0, 0))
    assert read_lines(tmp_path / "out/report.jsonl")[0]["reason"] == "no entity pair to list: 1 entities, 0 relations."

"""The command, from a corpus and a checkpoint to predictions and report."""

import json
import re

import pytest
from datasets import ClassLabel, DatasetDict, Image, List, Value

from examples.research.reproduce.compare import compare
from examples.research.vlm_baseline import scoring
from examples.research.vlm_baseline.__main__ import main
from examples.research.vlm_baseline.model import VisionLanguageModel
from tgdi_hf.demo.corpus_schema import LABELS
from tgdi_hf.evaluation.relation_scores import relation_scores
from tgdi_hf.processing.entity_types import types_in_label

from ....preparation.tiny_checkpoints import llava
from .tiny_models import idefics3

ROWS = 6


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("idefics3")
    for part in idefics3():
        part.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def posts(corpus):
    """The first posts of the embedded corpus: one of three has no image, and half of them have types."""

    def prepared(row, place):
        types = types_in_label(LABELS[row["label"]]) or ("per", "misc")
        typed = dict(zip(("head_type", "tail_type"), types if place % 2 else (None, None)))
        return {**typed, "image": None if place % 3 == 0 else row["image"]}

    small = {"train": corpus["train"].select(range(30)), "validation": corpus["validation"].select(range(ROWS))}
    features = {**corpus["train"].features, "head_type": Value("string"), "tail_type": Value("string")}
    columns = type(corpus["train"].features)(features)
    return DatasetDict({name: rows.map(prepared, with_indices=True, features=columns) for name, rows in small.items()})


@pytest.fixture(scope="module")
def data(posts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "posts"
    posts.save_to_disk(str(folder))
    return folder


def call(checkpoint, data, out, *options):
    main([str(checkpoint), str(data), str(out), *map(str, options)])
    return [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def few_shot(checkpoint, data, tmp_path_factory):
    out = tmp_path_factory.mktemp("few") / "out"
    return out, call(checkpoint, data, out, "--shots", 2)


def test_predictions_are_the_likeliest_of_the_allowed_relations(few_shot, posts):
    _, (header, *records) = few_shot
    assert header["settings"]["shots"] == 2
    assert [record["row"] for record in records] == list(range(ROWS))
    for place, record in enumerate(records):
        row = posts["validation"][place]
        assert record["relation"] == LABELS[row["label"]]
        types = (row["head_type"], row["tail_type"]) if place % 2 else None
        allowed = [name for name in LABELS if name == "None" or types in (None, types_in_label(name))]
        assert list(record["scores"]) == allowed
        assert (len(allowed) < len(LABELS)) == bool(place % 2)
        assert record["scores"][record["predicted"]] == max(record["scores"].values())
        examples = [LABELS[posts["train"][example]["label"]] for example in record["examples"]]
        assert len(set(examples)) == 2 and set(examples) <= set(allowed)


def test_results_have_the_scores_of_the_predictions(few_shot, posts, data):
    out, (_, *records) = few_shot
    report, run = (json.loads((out / name).read_text()) for name in ("report.json", "run.json"))
    answers = [LABELS.index(record["predicted"]) for record in records]
    labels = posts["validation"]["label"][:]
    expected = relation_scores(answers, labels, LABELS)
    assert run["answers"] == answers and run["labels"] == labels
    for name in ("accuracy", "precision", "recall", "f1"):
        assert report["scores"][name]["value"] == pytest.approx(expected[name]) == run["scores"][name]
        assert report["scores"][name]["low"] <= report["scores"][name]["high"]
    assert "split validation" in (out / "report.md").read_text()
    assert "F1 minus that of run: +0.0 points" in compare(data, out / "run.json", out / "run.json")


def test_a_run_is_deterministic_and_resumes(few_shot, checkpoint, data, tmp_path, monkeypatch):
    out, whole = few_shot
    assert call(checkpoint, data, tmp_path / "again", "--shots", 2) == whole
    lines = (out / "predictions.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "predictions.jsonl").write_text("".join(lines[:4]) + lines[4][:9])
    asked, score = [], VisionLanguageModel.score
    monkeypatch.setattr(VisionLanguageModel, "score", lambda self, *args: asked.append(args[3]) or score(self, *args))
    assert call(checkpoint, data, tmp_path / "part", "--shots", 2) == whole
    assert asked == ["row 3", "row 4", "row 5"]
    assert (tmp_path / "part" / "report.json").read_text() == (out / "report.json").read_text()


def test_scoring_without_shared_prefix_and_in_other_batches(few_shot, checkpoint, data, tmp_path):
    _, (_, *whole) = few_shot
    for options in (["--no-shared-prefix"], ["--batch-size", 2]):
        _, *records = call(checkpoint, data, tmp_path / options[0].strip("-"), "--shots", 2, *options)
        for one, two in zip(records, whole):
            assert one["scores"] == pytest.approx(two["scores"], rel=1e-4)
            assert one["examples"] == two["examples"]


def test_means_and_calibrated_scores(checkpoint, data, tmp_path):
    sums, means, calibrated = (
        call(checkpoint, data, tmp_path / name, *options)[1:]
        for name, options in (("sum", []), ("mean", ["--normalization", "mean"]), ("calibrated", ["--calibrate"]))
    )
    model = VisionLanguageModel.from_pretrained(str(checkpoint))
    lengths = {name: len(model.answer_tokens(name)) for name in LABELS}
    differences = set()
    for total, mean, free in zip(sums, means, calibrated):
        expected = {name: score / lengths[name] for name, score in total["scores"].items()}
        assert mean["scores"] == pytest.approx(expected)
        assert total["examples"] == []
        # Rows with the same options have the same score subtracted, that of a post without content.
        priors = tuple(round(total["scores"][name] - free["scores"][name], 3) for name in total["scores"])
        differences.add((tuple(total["scores"]), priors))
    assert len(differences) == len({tuple(total["scores"]) for total in sums}) > 1


def test_comparison_with_a_checkpoint(checkpoint, data, tmp_path, model, processor, capsys):
    for part in (model, processor):
        part.save_pretrained(tmp_path / "tgdi")
    call(checkpoint, data, tmp_path / "out", "--compare", tmp_path / "tgdi", "--control", "no-image")
    printed = capsys.readouterr().out
    assert f"F1 minus that of {tmp_path / 'tgdi'}:" in printed and "McNemar" in printed
    assert "validation, 6 rows:" in printed and "F1 interval" in printed
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["comparison"]["with"] == str(tmp_path / "tgdi")
    assert report["scored"]["control"] == "no-image" and report["scored"]["changed"] == 4
    assert list(report["groups"]["image"]) == ["absent"]


def test_images_are_read_unless_a_control_removes_them(checkpoint, data, tmp_path):
    _, *images = call(checkpoint, data, tmp_path / "images")
    _, *none = call(checkpoint, data, tmp_path / "none", "--control", "no-image")
    same = [one["scores"] == two["scores"] for one, two in zip(images, none)]
    assert same == [place % 3 == 0 for place in range(ROWS)]  # the posts without an image


def test_examples_have_no_images_for_a_model_of_one_image(data, tmp_path, caplog):
    llava(tmp_path / "llava")
    template = (tmp_path / "llava" / "chat_template.jinja").read_text()
    roles = template.replace("USER:", "{{ message['role'] | upper }}:")
    (tmp_path / "llava" / "chat_template.jinja").write_text(roles)
    asked = []

    def count(self, options, examples, question, where, example_images):
        asked.append(example_images)
        return scoring.Likelihoods([-1.0] * len(options), [1] * len(options))

    with pytest.MonkeyPatch.context() as patch, caplog.at_level("INFO", "vlm_baseline"):
        patch.setattr(VisionLanguageModel, "score", count)
        call(tmp_path / "llava", data, tmp_path / "auto", "--shots", 1)
        assert "The examples have no images" in caplog.text and "trained on one per conversation" in caplog.text
        call(tmp_path / "llava", data, tmp_path / "yes", "--shots", 1, "--shot-images", "yes")
        call(tmp_path / "llava", data, tmp_path / "no", "--shots", 1, "--shot-images", "no")
    assert "(--shot-images no)" in caplog.text
    assert asked == [False] * ROWS + [True] * ROWS + [False] * ROWS


def test_a_cache_that_cannot_be_repeated_is_reported(few_shot, checkpoint, data, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("examples.research.vlm_baseline.model.can_be_repeated", lambda cache: False)
    with caplog.at_level("INFO", "vlm_baseline"):
        _, *records = call(checkpoint, data, tmp_path / "out", "--shots", 2)
    assert f"The cache of {checkpoint} cannot be repeated" in caplog.text
    for one, two in zip(records, few_shot[1][1:], strict=True):
        assert one["scores"] == pytest.approx(two["scores"], rel=1e-4)


# Bad input


def with_rows(change, **features):
    """Posts whose validation rows are changed by a function of a row and its place."""

    def build(posts):
        rows = posts["validation"].cast_column("image", Image(decode=False))
        columns = type(rows.features)({**rows.features, **features})
        changed = rows.map(lambda row, place: change(row, place) or row, with_indices=True, features=columns)
        return DatasetDict({**posts, "validation": changed})

    return build


def set_at(target, **values):
    return with_rows(lambda row, place: {**row, **values} if place == target else row)


def several_labels(posts):
    feature = List(ClassLabel(names=list(LABELS)))
    return DatasetDict(
        {
            name: rows.remove_columns("label").add_column(
                "label", [[label] for label in rows["label"]], feature=feature
            )
            for name, rows in posts.items()
        }
    )


def without_images(posts):
    return DatasetDict({name: rows.remove_columns(["image", "objects"]) for name, rows in posts.items()})


DAMAGED = {"bytes": b"not an image", "path": None}
BAD = {
    "negative shots": (["--shots", -1], None, "--shots is -1; expected 0 or more"),
    "no batch": (["--batch-size", 0], None, "--batch-size is 0; expected 1 or more"),
    "two devices": (["--device", "cpu", "--device-map", "auto"], None, "--device and --device-map are both given"),
    "unknown normalization": (["--normalization", "median"], None, "invalid choice: 'median'"),
    "unknown control": (["--control", "no-text"], None, "invalid choice: 'no-text'"),
    "unknown data type": (["--dtype", "int8"], None, "invalid choice: 'int8'"),
    "shots are no number": (["--shots", "four"], None, "invalid int value: 'four'"),
    "unknown split": (["--split", "dev"], None, "has no split 'dev', only train, validation"),
    "no train split": (
        ["--shots", 1], lambda posts: DatasetDict(validation=posts["validation"]), "has no split 'train', only",
    ),
    "train split scored": (["--split", "train", "--shots", 1], None, "Examples are drawn from the split 'train'"),
    "several labels per row": ([], several_labels, "have lists of labels; expected one label per row"),
    "unknown negative": (["--negative", "nothing"], None, "The negative label is 'nothing', which is not a label"),
    "no descriptions": (["--descriptions", "gone.json"], None, "gone.json cannot be read as JSON"),
    "comparison with nothing": (["--compare", "./gone"], None, "gone: no such folder"),
    "revision of a folder": (["--revision", "main"], None, "The revision 'main' applies to the Hub"),
    "too many shots": (["--shots", 99], None, "row 0: 99 examples were asked for, and the train split has"),
    "damaged image": ([], set_at(2, image=DAMAGED), "row 2, image.*not in an image format"),
    "span outside": ([], set_at(3, head=[0, 9999]), "row 3"),
    "empty span": ([], set_at(4, tail=[2, 2]), "row 4"),
    "empty text": ([], set_at(5, text=" "), "row 5"),
    "types are numbers": (
        [],
        with_rows(lambda row, place: {**row, "head_type": place + 1}, head_type=Value("int32")),
        "row 0: `head_type` is 1; expected an entity type",
    ),
    "nothing to perturb": (["--control", "no-image"], without_images, "No row has anything that the control"),
    "long text": ([], set_at(0, text="a b " * 4000, head=[0, 1], tail=[2, 3]), "row 0: the conversation with"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case, checkpoint, posts, data, tmp_path, capsys, monkeypatch):
    options, change, message = BAD[case]
    monkeypatch.chdir(tmp_path)
    if change is not None:
        data = tmp_path / "changed"
        change(posts).save_to_disk(str(data))
    with pytest.raises(SystemExit) as error:
        call(checkpoint, data, tmp_path / "out", *options)
    said = capsys.readouterr().err if error.value.code == 2 else str(error.value)
    assert len(said.splitlines()) < 40
    assert re.search(message, said, re.DOTALL), said


GONE = set_at(1, image={"bytes": None, "path": "/gone/1.png"})


@pytest.mark.parametrize(
    ("options", "change", "message"),
    [
        ([], lambda posts: DatasetDict(validation=posts["validation"].select([])), "'validation' of .* has no rows"),
        ([], GONE, "row 1, image.*1.png: no such file"),
        (["--shots", 1], GONE, "row 1, image.*1.png: no such file"),
    ],
)
def test_bad_rows_that_cannot_be_saved(options, change, message, checkpoint, posts, data, tmp_path, monkeypatch):
    changed = change(posts)
    monkeypatch.setattr("examples.research.vlm_baseline.__main__.load_data", lambda path, negative: changed)
    with pytest.raises(SystemExit, match=message):
        call(checkpoint, data, tmp_path / "out", *options)


def test_bad_places(few_shot, checkpoint, data, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit):
        call(checkpoint, data, tmp_path / "file")
    assert "is a file; expected a folder for the results" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="gone"):
        call(checkpoint, tmp_path / "gone", tmp_path / "out")
    with pytest.raises(SystemExit, match="gone.*no such folder, and no model of that name"):
        call(tmp_path / "gone", data, tmp_path / "out")
    with pytest.raises(SystemExit, match="is a model of type 'idefics3'; expected 'tgdi'"):
        call(checkpoint, data, tmp_path / "out", "--compare", checkpoint)


def test_results_of_another_run_are_kept(few_shot, checkpoint, posts, data, tmp_path):
    out, whole = few_shot
    for options, name in ((["--shots", 1], "shots"), (["--shots", 2, "--seed", 1], "seed"), ([], "data")):
        with pytest.raises(SystemExit, match=f"run with other settings: `{name}`"):
            call(checkpoint, data, out, *options)
    with_types = with_rows(lambda row, place: {**row, "head_type": "org", "tail_type": "org"})(posts)
    with_types.save_to_disk(str(tmp_path / "typed"))
    with pytest.raises(SystemExit, match="run with other settings: `types`"):
        call(checkpoint, tmp_path / "typed", out, "--shots", 2)
    again = tmp_path / "again"
    again.mkdir()
    longer = [*whole, {**whole[-1], "row": ROWS}]
    (again / "predictions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in longer))
    with pytest.raises(SystemExit, match="predictions.jsonl has 7 rows; the data have 6"):
        call(checkpoint, data, again, "--shots", 2)

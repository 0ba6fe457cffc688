import pytest
from datasets import load_dataset
from huggingface_hub import DatasetCard
from typer.testing import CliRunner

from tgdi_hf import make_corpus
from tgdi_hf.cli.main import app
from tgdi_hf.data.loading import load_data
from tgdi_hf.demo import corpus_dataset
from tgdi_hf.demo.corpus_dataset import write_dataset
from tgdi_hf.demo.corpus_schema import FEATURES, LABELS

ROWS = {"train": 12, "validation": 6, "test": 9}


def files_of(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def rows_of(posts):
    return [{**row, "image": row["image"] and row["image"].tobytes()} for row in posts]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("datasets") / "corpus"
    write_dataset(folder, ROWS, seed=3)
    return folder


@pytest.fixture(scope="module")
def card(written):
    return DatasetCard.load(written / "README.md")


@pytest.mark.parametrize("read", [load_dataset, load_data])
def test_datasets_and_training_read_the_corpus(written, tmp_path, read):
    options = {"cache_dir": str(tmp_path)} if read is load_dataset else {}
    found, corpus = read(str(written), **options), make_corpus(ROWS, seed=3)
    assert list(found) == list(ROWS)
    for split in ROWS:
        assert rows_of(found[split].select_columns([*FEATURES])) == rows_of(corpus[split])
    assert found["train"].features["label"].names == list(LABELS)


def test_equal_arguments_give_equal_bytes(written, tmp_path):
    write_dataset(tmp_path / "again", ROWS, seed=3)
    assert files_of(tmp_path / "again") == files_of(written)
    assert sorted(files_of(written)) == [
        "README.md", *(f"data/{split}-00000-of-00001.parquet" for split in ("test", "train", "validation"))
    ]  # fmt: skip


def test_the_card_describes_the_corpus(card, written):
    data = card.data.to_dict()
    assert (data["license"], data["task_categories"], data["size_categories"]) == (
        "apache-2.0", ["text-classification"], ["n<1K"]
    )  # fmt: skip
    assert [one["split"] for one in data["configs"][0]["data_files"]] == [*ROWS]
    info = data["dataset_info"]
    assert {one["name"]: one["num_examples"] for one in info["splits"]} == ROWS
    assert info["download_size"] == sum(len(data) for name, data in files_of(written).items() if name != "README.md")
    assert [one["name"] for one in info["features"]] == [*FEATURES]
    posts = make_corpus(ROWS, seed=3)["train"]
    none = list(posts["label"]).count(LABELS.index("None"))
    # By construction, the image of a half is needed, and a tenth has none: rows 8 and 9 of 12.
    assert f"| train | 12 | 10 | 6 | {none} |" in card.text
    assert "tgdi demo --dataset OUT --rows 12 6 9 --seed 3\n" in card.text
    assert "{{" not in card.text and "{%" not in card.text


def test_the_default_command_has_no_options():
    corpus = {split: range(rows) for split, rows in corpus_dataset.DEFAULT_ROWS.items()}
    assert corpus_dataset.command(corpus, seed=0) == "tgdi demo --dataset OUT"


@pytest.mark.parametrize(
    ("name", "message"), [("full", "is not empty; expected a new folder"), ("file", "is a file; expected a new folder")]
)
def test_nothing_is_overwritten(tmp_path, name, message):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match=message):
        write_dataset(tmp_path / name, ROWS)
    assert files_of(tmp_path) == {"full/mine": b"mine", "file": b"mine"}


def test_an_interrupted_run_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(corpus_dataset, "dataset_card", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path / "corpus", ROWS)
    assert list(tmp_path.iterdir()) == []


def test_the_command(written, tmp_path):
    arguments = ["--rows", "12", "6", "9", "--seed", "3"]
    done = CliRunner().invoke(app, ["demo", "--dataset", str(tmp_path / "new" / "corpus"), *arguments])
    assert done.exit_code == 0 and "12 train, 6 validation, 9 test posts." in done.output
    assert files_of(tmp_path / "new" / "corpus") == files_of(written)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output", "runs/demo"], "--output is for the trained model, but --dataset trains none"),
        (["--rows", "0", "1", "1"], "`rows` has 0 rows of train; expected 1 or more"),
    ],
)
def test_bad_options_are_a_message(tmp_path, arguments, message):
    done = CliRunner().invoke(app, ["demo", "--dataset", str(tmp_path / "corpus"), *arguments])
    assert done.exit_code != 0 and message in f"{done.output} {done.exception}"
    assert list(tmp_path.iterdir()) == []

import json

import pytest
from datasets import Dataset, DatasetDict

from tgdi_hf.data.labels import with_class_labels
from tgdi_hf.data.loading import load_data, read_table
from tgdi_hf.processing.head_and_tail import text_and_spans

POST = {"text": "JFK and Obama at Harvard", "head": [0, 3], "tail": [17, 24]}


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_every_format_is_read(tmp_path):
    rows = [POST, {**POST, "head": [8, 13]}]
    json_lines = write(tmp_path / "posts.jsonl", rows)
    dataset = Dataset.from_list(rows)
    dataset.to_parquet(tmp_path / "posts.parquet")
    Dataset.from_list([{**row, "head": json.dumps(row["head"]), "tail": "Harvard"} for row in rows]).to_csv(
        tmp_path / "posts.csv"
    )
    DatasetDict(train=dataset, validation=dataset).save_to_disk(tmp_path / "saved")
    dataset.save_to_disk(tmp_path / "one")
    folder = tmp_path / "folder"
    folder.mkdir()
    for split in ("train", "validation"):
        write(folder / f"{split}.jsonl", rows)
    for path, splits in (
        (json_lines, ["train"]),
        (tmp_path / "posts.parquet", ["train"]),
        (tmp_path / "posts.csv", ["train"]),
        (tmp_path / "one", ["train"]),
        (tmp_path / "saved", ["train", "validation"]),
        (folder, ["train", "validation"]),
    ):
        table = read_table(path, cache_dir=tmp_path / "hf")
        assert list(table) == splits, path
        spans = [text_and_spans(row, "row")[1] for row in table[splits[-1]]]
        assert spans == [((0, 3), (17, 24)), ((8, 13), (17, 24))], path


def test_unreadable_files_are_named(tmp_path):
    with pytest.raises(ValueError, match="nothing: no such file or folder; expected posts"):
        read_table(tmp_path / "nothing")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ValueError, match=r"nothing: expected a \.jsonl, \.csv or \.parquet file; a folder"):
        read_table(tmp_path / "nothing")
    (tmp_path / "posts.xlsx").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"posts\.xlsx: expected"):
        read_table(tmp_path / "posts.xlsx")
    (tmp_path / "bad.jsonl").write_text('{"text": "a"}\n{"text": \n')
    with pytest.raises(ValueError, match=r"bad\.jsonl can't be read"):
        read_table(tmp_path / "bad.jsonl", cache_dir=tmp_path / "hf")
    with pytest.raises(ValueError, match=r"empty\.jsonl is empty; expected posts"):
        read_table(write(tmp_path / "empty.jsonl", []))
    write(tmp_path / "train.jsonl", [POST])
    (tmp_path / "train.csv").write_text("text\na\n")
    with pytest.raises(ValueError, match=r"several files of the split 'train': "):
        read_table(tmp_path)


def test_unprepared_posts_are_refused(tmp_path):
    write(tmp_path / "posts.jsonl", [POST])
    with pytest.raises(ValueError, match="posts.jsonl has posts that are not prepared; .* tgdi prepare"):
        load_data(tmp_path / "posts.jsonl")


def test_parquet_with_spans_and_images_is_complete(corpus, tmp_path):
    (tmp_path / "corpus" / "data").mkdir(parents=True)
    for split, rows in corpus.items():
        rows.to_parquet(tmp_path / "corpus" / "data" / f"{split}-00000-of-00001.parquet")
    loaded = load_data(tmp_path / "corpus")
    assert loaded["test"][3]["text"] == corpus["test"][3]["text"]
    assert loaded["train"].features["label"] == corpus["train"].features["label"]
    with pytest.raises(ValueError, match="apply to MNRE folders"):
        load_data(tmp_path / "corpus", objects="published")


def test_parquet_without_images_is_not_complete(corpus, tmp_path):
    corpus["train"].remove_columns("image").to_parquet(tmp_path / "train.parquet")
    with pytest.raises(ValueError, match="has posts that are not prepared"):
        load_data(tmp_path)
    (tmp_path / "train.parquet").write_bytes(b"PAR1 no table PAR1")
    with pytest.raises(ValueError, match="has posts that are not prepared"):
        load_data(tmp_path)


def test_a_saved_dataset_dict_is_loaded_by_its_folder(corpus, tmp_path):
    corpus.save_to_disk(tmp_path / "corpus")
    assert load_data(tmp_path / "corpus")["test"][3]["text"] == corpus["test"][3]["text"]
    with pytest.raises(ValueError, match="not an MNRE corpus"):
        load_data(tmp_path)
    for options in ({"objects": "published"}, {"strict": False}):
        with pytest.raises(ValueError, match="saved DatasetDict.*apply to MNRE folders"):
            load_data(tmp_path / "corpus", **options)


def test_relation_names_become_labels_shared_by_all_splits(tmp_path):
    rows = {"train": ["peer", "None", "couple"], "validation": ["parent", "None"]}
    table = DatasetDict({split: Dataset.from_dict({"relation": names}) for split, names in rows.items()})
    table.save_to_disk(tmp_path / "prepared" / "dataset")
    data = load_data(tmp_path / "prepared")
    assert data["train"].features["label"].names == ["None", "couple", "parent", "peer"]
    assert (data["train"]["label"][:], data["validation"]["label"][:]) == ([3, 0, 1], [2, 0])
    table["train"] = Dataset.from_dict({"relation": ["peer", None]})
    with pytest.raises(ValueError, match="'relation' has the value None; expected the name of a relation"):
        with_class_labels(table)


def test_a_misspelt_folder_is_named(tmp_path):
    (tmp_path / "prepared").mkdir()
    with pytest.raises(ValueError, match=r"no such folder; expected the output of .*Did you mean .*/prepared\?"):
        load_data(tmp_path / "prepard")
    with pytest.raises(ValueError, match=r"or an MNRE folder\.$"):
        load_data(tmp_path / "nowhere" / "prepared")

import json
from pathlib import Path

import pytest
from datasets import Dataset
from PIL import Image

from tgdi_hf.data.loading import load_data, read_table
from tgdi_hf.data.post_stream import read_posts
from tgdi_hf.preparation.prepare import prepare

POST = {"text": "Ann meets Bob", "head": "Ann", "tail": "Bob", "relation": "/per/per/peer"}


def write(file, rows):
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".parquet":
        Dataset.from_list(rows).to_parquet(file)
    elif file.suffix == ".csv":
        Dataset.from_list(rows).to_csv(file)
    else:
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for row in rows:
        if "file_name" in row:
            (file.parent / row["file_name"]).parent.mkdir(exist_ok=True)
            Image.new("RGB", (20, 20), "red").save(file.parent / row["file_name"])


LAYOUTS = {
    "dev.jsonl": {"train": "train.jsonl", "validation": "dev.jsonl"},
    "val.csv": {"train": "train.csv", "validation": "val.csv", "test": "test.csv"},
    "valid.parquet": {"train": "training.parquet", "validation": "valid.parquet"},
    "only test": {"test": "test.jsonl"},
    "as the Hub has it": {
        "train": ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"],
        "validation": "data/validation-00000-of-00001.parquet",
    },
    "imagefolder": {"train": "metadata.jsonl"},
    "imagefolder, csv": {"train": "metadata.csv"},
    "imagefolder of splits": {"train": "train/metadata.jsonl", "validation": "val/metadata.jsonl"},
    "imagefolder of splits, csv": {"train": "train/metadata.csv", "test": "test/metadata.csv"},
    "folders": {"train": "train/posts.jsonl", "validation": "dev/posts.jsonl"},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_splits_of_every_layout_are_found(tmp_path, layout):
    for split, files in LAYOUTS[layout].items():
        for i, file in enumerate([files] if isinstance(files, str) else files):
            image = {} if "imagefolder" not in layout else {"file_name": f"images/{split}.png"}
            write(tmp_path / "data set" / file, [{**POST, "id": f"{split}{i}", **image}])
    table = read_table(tmp_path / "data set", cache_dir=tmp_path / "hf")
    assert {split: rows["id"][0] for split, rows in table.items()} == {split: f"{split}0" for split in LAYOUTS[layout]}
    assert table.num_rows == {
        split: 1 if isinstance(files, str) else len(files) for split, files in LAYOUTS[layout].items()
    }
    if "imagefolder" in layout:  # image paths start at the folder that is read
        assert all(Path(post["image"]).is_file() for post in read_posts(tmp_path / "data set"))


@pytest.mark.parametrize("layout", ["imagefolder", "imagefolder of splits, csv"])
def test_an_imagefolder_can_be_prepared_and_loaded(tmp_path, layout):
    for split, file in LAYOUTS[layout].items():
        write(tmp_path / "posts" / file, [{**POST, "file_name": f"{split}.png"}, {**POST, "file_name": "other.png"}])
    with pytest.raises(ValueError, match="need prepared posts: tgdi prepare .*posts PREPARED"):
        load_data(tmp_path / "posts")
    table = read_table(tmp_path / "posts", cache_dir=tmp_path / "hf")
    prepare(table, tmp_path / "out", None, None, cache=tmp_path / "cache", image_folder=tmp_path / "posts")
    data = load_data(tmp_path / "out")
    assert list(data) == list(LAYOUTS[layout])
    assert all(row["image"].size == (20, 20) for rows in data.values() for row in rows)


@pytest.mark.parametrize("files", [("val.jsonl", "dev.jsonl"), ("validation.csv", "val/posts.csv")])
def test_several_files_of_a_split_are_refused(tmp_path, files):
    for file in ("train" + Path(files[0]).suffix, *files):
        write(tmp_path / file, [POST])
    with pytest.raises(ValueError, match="several files of the split 'validation': .*Keep one"):
        read_table(tmp_path)

import json

import pytest
from datasets import load_from_disk

from examples.research.reproduce.corpus import corpus_name, write_corpus
from tgdi_hf.data.dataset_columns import undecoded
from tgdi_hf.data.loading import load_data
from tgdi_hf.data.mnre_schema import RELATIONS
from tgdi_hf.demo.corpus_schema import LABELS


def test_written_corpus_has_images_boxes_captions_and_encoders(tmp_path):
    rows = {"train": 24, "validation": 8}
    written = write_corpus(tmp_path / "posts", rows, seed=3)
    read = load_data(tmp_path / "posts")
    assert {split: len(posts) for split, posts in read.items()} == rows
    for column in ("text", "head", "tail", "objects", "caption", "label"):
        assert read["train"][column][:] == written["train"][column][:]
    assert any(read["train"]["objects"][:]) and any(read["train"]["caption"][:])
    assert any(image is not None for image in read["train"]["image"][:])
    assert read["train"].features["label"].names == list(LABELS)
    for name, model_type in (("text", "bert"), ("vision", "vit")):
        config = json.loads((tmp_path / "posts/encoders" / name / "config.json").read_text())
        assert config["model_type"] == model_type
    with pytest.raises(ValueError, match="posts is not empty; expected a new folder"):
        write_corpus(tmp_path / "posts", rows)
    assert len(load_from_disk(str(tmp_path / "posts"))["train"]) == 24


def test_captions_name_scenes_if_asked(tmp_path):
    vague = write_corpus(tmp_path / "vague", {"train": 24})["train"]
    named = write_corpus(tmp_path / "named", {"train": 24}, name_scenes=True)["train"]
    expected = [
        caption and f"{scene.replace('_', ' ')} in a drawing"
        for caption, scene in zip(vague["caption"][:], vague["scene"][:])
    ]
    assert named["caption"][:] == expected and None in expected and any(expected)
    assert undecoded(named).remove_columns("caption").to_dict() == undecoded(vague).remove_columns("caption").to_dict()


def test_corpora_are_named_by_their_relations(tmp_path):
    assert corpus_name(tmp_path / "prepared", sorted(RELATIONS)) == "MNRE"
    assert corpus_name(tmp_path / "prepared", LABELS) == "embedded corpus"
    assert corpus_name(tmp_path / "mine", ["None", "/per/per/peer"]) == "mine"

import json
import logging
import os
import time
from pathlib import Path

import pytest
from datasets import Image
from PIL import Image as PILImage

from tgdi_hf import RELATIONS, load_mnre
from tgdi_hf.data.mnre_files import CorpusError

from .mnre_folder import MNRE_1_POSTS, MNRE_1_RELATIONS, POSTS, post, write_image, write_lines, write_mnre_1


def test_a_row_has_the_values_of_its_line(folder):
    corpus = load_mnre(folder)
    assert list(corpus) == ["train"]
    row = corpus["train"][0]
    assert isinstance(row.pop("image"), PILImage.Image)
    assert row == {
        "id": "train-0",
        "words": ["JFK", "and", "Obama", "at", "Harvard"],
        "head": [0, 1],
        "tail": [4, 5],
        "image_id": "a.jpg",
        "objects": [],
        "caption": "two men in gowns",
        "relevance": 0.5,
        "label": RELATIONS.index("/per/org/member_of"),
    }


def test_all_splits_are_loaded(folder_of_splits):
    corpus = load_mnre(folder_of_splits)
    assert list(corpus) == ["train", "validation", "test"]
    for split, data in corpus.items():
        assert data["id"] == [f"{split}-{i}" for i in range(4)]
        assert data["label"] == [9, 7, 0, 14]
        assert data["caption"] == data["relevance"] == [None] * 4
        assert data.split == split


def test_words_are_kept_verbatim(folder):
    assert load_mnre(folder)["train"]["words"][2] == ["A&amp;M", "beats", "#", "Texas", "😀", "it's"]
    # A line separator inside a word does not end the line.
    write_lines(
        folder / "txt/ours_train.txt", [post(["a\u2028b", "c"], tail=(1, 2)), post(["", "c", " "], tail=(1, 2))]
    )
    assert load_mnre(folder)["train"]["words"] == [["a\u2028b", "c"], ["", "c", " "]]


def test_spans_may_overlap_in_any_order(folder):
    row = load_mnre(folder)["train"][3]
    assert (row["head"], row["tail"]) == ([0, 3], [0, 2])


def test_images_are_not_opened_until_a_row_is_read(folder, caplog):
    (folder / "img_org/train/a.jpg").write_bytes(b"not an image")
    with caplog.at_level(logging.INFO):
        data = load_mnre(folder)["train"]
    assert "1 of 4 rows have no image file" in caplog.text
    paths = data.cast_column("image", Image(decode=False))["image"]
    assert paths[2] == {"path": str(folder / "img_org/train/b.jpg"), "bytes": None}
    assert paths[3] is None
    assert data[2]["image"].size == (8, 6)
    assert data[3]["image"] is None
    with pytest.raises(OSError, match="cannot identify"):
        data[0]


def test_a_corpus_without_images_is_loaded_with_a_warning(folder, caplog):
    (folder / "img_org").rename(folder / "images")
    assert load_mnre(folder)["train"]["image"] == [None] * 4
    assert f"4 of 4 rows have no image file in {folder / 'img_org/train'}" in caplog.text


def test_an_image_name_cannot_leave_the_folder(folder):
    write_image(folder.parent / "secret.jpg")
    write_lines(
        folder / "txt/ours_train.txt",
        [post(image="../../../secret.jpg"), post(image=str(folder.parent / "secret.jpg"))],
    )
    assert load_mnre(folder)["train"]["image"] == [None, None]


def test_paths_survive_a_change_of_directory(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    data = load_mnre("mnre")["train"]
    monkeypatch.chdir("/")
    assert data[0]["image"].size == (8, 6)


def test_only_the_requested_splits_are_opened(folder_of_splits):
    (folder_of_splits / "txt/ours_test.txt").write_bytes(b"\xff")
    assert list(load_mnre(folder_of_splits, splits=["validation", "train"])) == ["train", "validation"]
    assert list(load_mnre(folder_of_splits, splits="validation")) == ["validation"]


def test_entity_names_that_differ_from_their_words_are_logged(folder, caplog):
    write_lines(
        folder / "txt/ours_train.txt", [post(), post(h={"name": "Kennedy", "pos": [0, 1]}), post(t={"pos": [4, 5]})]
    )
    assert len(load_mnre(folder)["train"]) == 3
    assert "the names of 1 entities differ" in caplog.text
    assert "line 2: 'Kennedy' and 'JFK'" in caplog.text


def test_errors_of_several_files_and_calls_accumulate(folder, caplog):
    write_lines(folder / "txt/ours_train.txt", [POSTS[0], "x", "y"])
    write_lines(folder / "caption/blip2_train.txt", ["z"])
    errors = []
    for _ in range(2):
        load_mnre(folder, strict=False, errors=errors)
    assert [(Path(error.file).name, error.line) for error in errors] == [
        ("ours_train.txt", 2),
        ("ours_train.txt", 3),
        ("blip2_train.txt", 1),
    ] * 2
    assert caplog.text.count("Skipped 3 invalid lines of") == 2


@pytest.mark.parametrize("text", ["", "\n \n"])
@pytest.mark.parametrize("strict", [True, False])
def test_an_empty_file_is_refused(folder, text, strict):
    (folder / "txt/ours_train.txt").write_text(text)
    with pytest.raises(CorpusError, match=r"ours_train\.txt: has 0 lines, none of them valid"):
        load_mnre(folder, strict=strict)


def test_a_file_without_a_valid_row_is_refused_and_its_lines_reported(folder):
    write_lines(folder / "txt/ours_train.txt", ["x", "y"])
    errors = []
    with pytest.raises(CorpusError, match="has 2 lines, none of them valid"):
        load_mnre(folder, strict=False, errors=errors)
    assert [error.line for error in errors] == [1, 2]


def test_a_folder_without_a_corpus_is_refused_with_the_expected_files(tmp_path):
    expected = (
        r"not an MNRE corpus: txt/ours_train\.txt, txt/ours_val\.txt, txt/ours_test\.txt; nor .*"
        r"mnre_txt/mnre_org_train\.txt, .* not found\.$"
    )
    with pytest.raises(CorpusError, match=expected):
        load_mnre(tmp_path)
    with pytest.raises(CorpusError, match="no such folder; expected an MNRE corpus"):
        load_mnre(tmp_path / "nowhere")


@pytest.mark.parametrize("wrong", [".", "RE_data/txt", "RE_data/img_org"])
def test_a_neighbouring_folder_is_suggested(folder_of_splits, wrong):
    with pytest.raises(CorpusError, match=rf"Did you mean {folder_of_splits}\?"):
        load_mnre(folder_of_splits.parent / wrong)


def test_a_requested_but_absent_split_is_refused(folder):
    with pytest.raises(CorpusError, match=r"lacks requested splits: txt/ours_val\.txt not found\.$"):
        load_mnre(folder, splits=["train", "validation"])


@pytest.mark.parametrize(("splits", "found"), [(["dev"], r"\['dev'\]"), ("val", r"\['val'\]"), ([], r"\[\]")])
def test_an_unknown_split_is_refused(folder, splits, found):
    with pytest.raises(ValueError, match=rf"`splits` is {found}; expected some of \['train', 'validation', 'test'\]"):
        load_mnre(folder, splits=splits)


def test_unknown_objects_are_refused(folder):
    with pytest.raises(ValueError, match="`objects` is 'all'; expected 'none' or 'published'"):
        load_mnre(folder, objects="all")


def test_mnre_1_is_read_with_the_relations_of_its_training_rows(tmp_path):
    corpus = load_mnre(write_mnre_1(tmp_path))
    assert list(corpus) == ["train", "validation"]
    for split, rows in corpus.items():
        assert rows.features["label"].names == MNRE_1_RELATIONS
        assert rows["label"][:] == [0, 3, 2, 1, 4, 0]
        assert rows["id"][0] == f"{split}-0"
        assert rows["caption"] == rows["relevance"] == [None] * 6
    assert corpus["train"][0]["image"].size == (8, 6)
    assert corpus["train"][4]["image"] is None


def test_label_ids_do_not_depend_on_the_loaded_splits(tmp_path):
    write_mnre_1(tmp_path)
    write_lines(tmp_path / "mnre_txt/mnre_org_val.txt", [post(relation="/per/org/member_of")])
    rows = load_mnre(tmp_path, splits="validation")["validation"]
    assert (rows.features["label"].names, rows["label"][:]) == (MNRE_1_RELATIONS, [2])


@pytest.mark.parametrize("place", [".", "mnre_txt"])
def test_a_file_of_relations_comes_before_the_training_rows(tmp_path, place):
    names = ["/per/per/relative", *reversed(MNRE_1_RELATIONS)]
    write_mnre_1(tmp_path)
    (tmp_path / place / "mnre_rel2id.json").write_text(json.dumps({name: i for i, name in enumerate(names)}))
    rows = load_mnre(tmp_path)["train"]
    assert (rows.features["label"].names, rows["label"][:2]) == (names, [5, 2])


def test_a_corpus_in_the_layout_of_mnre_2_may_list_relations_of_its_own(folder):
    names = ["/misc/loc/near", "/per/org/member_of", "/per/per/alumi", "None", "/org/loc/locate_at"]
    (folder / "ours_rel2id.json").write_text(json.dumps({name: i for i, name in enumerate(names)}))
    rows = load_mnre(folder)["train"]
    assert (rows.features["label"].names, rows["label"][:]) == (names, [1, 2, 3, 4])
    with pytest.raises(CorpusError, match="`objects='published'` is for MNRE-2"):
        load_mnre(folder, objects="published")


@pytest.mark.parametrize("strict", [True, False])
def test_a_relation_without_a_training_row_is_unknown(tmp_path, strict):
    write_mnre_1(tmp_path)
    file = write_lines(tmp_path / "mnre_txt/mnre_org_val.txt", [post(relation="none"), post(relation="/per/per/peers")])
    errors = []
    expected = (
        r"line 2: unknown relation '/per/per/peers', did you mean '/per/per/peer'\?; expected one of the 5 relations "
        rf"of the rows in {tmp_path / 'mnre_txt/mnre_org_train.txt'} \(or list all .* rel2id\.json\)"
    )
    if strict:
        with pytest.raises(CorpusError, match=expected):
            load_mnre(tmp_path)
    else:
        assert len(load_mnre(tmp_path, strict=False, errors=errors)["validation"]) == 1
        assert [(error.file, error.line) for error in errors] == [(str(file), 2)]


def test_relations_are_listed_or_in_training_rows(tmp_path):
    write_mnre_1(tmp_path, splits=("val",))
    with pytest.raises(
        CorpusError, match=r"neither in rel2id\.json nor in training rows .*mnre_org_train\.txt is miss"
    ):
        load_mnre(tmp_path)


def test_an_invalid_line_of_mnre_1_is_reported_once(tmp_path):
    write_mnre_1(tmp_path, posts=[*MNRE_1_POSTS, "x"], splits=("train",))
    with pytest.raises(CorpusError, match=r"mnre_org_train\.txt, line 7: expected a dict in Python or JSON syntax"):
        load_mnre(tmp_path)
    errors = []
    assert len(load_mnre(tmp_path, strict=False, errors=errors)["train"]) == 6
    assert [error.line for error in errors] == [7]


REAL = Path(os.environ.get("TGDI_MNRE", Path(__file__).resolve().parents[3] / "shared" / "mnre"))
needs_mnre = pytest.mark.skipif(
    not (REAL / "txt/ours_train.txt").is_file(), reason=f"no MNRE in {REAL}; set TGDI_MNRE to its folder"
)


@pytest.fixture(scope="module")
def mnre():
    return load_mnre(REAL, splits=["train", "validation"])


@needs_mnre
def test_mnre_has_the_published_sizes(mnre):
    assert {split: len(data) for split, data in mnre.items()} == {"train": 12247, "validation": 1624}
    assert mnre["train"]["label"][:].count(0) == 7744
    spans = [span for data in mnre.values() for span in zip(data["head"], data["tail"])]
    assert sum(head[0] < tail[1] and tail[0] < head[1] for head, tail in spans) == 62


@needs_mnre
def test_mnre_loads_in_seconds_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path)
    start = time.process_time()
    load_mnre(REAL, splits=["train"])
    assert time.process_time() - start < 15  # 2 s on an idle machine
    assert not list(tmp_path.rglob("*"))


@needs_mnre
@pytest.mark.skipif(not (REAL / "relevance").is_dir(), reason=f"no relevance/ in {REAL}")
def test_relevance_of_mnre_is_one_value_per_image(mnre):
    by_image = {}
    for image, value in zip(mnre["train"]["image_id"], mnre["train"]["relevance"]):
        assert by_image.setdefault(image, value) == value
        assert 0 <= value <= 1
    assert len(by_image) == 7356


@needs_mnre
@pytest.mark.skipif(not (REAL / "txt/mre_train_dict.pth").is_file(), reason=f"no published crops in {REAL}")
def test_published_crops_of_mnre_separate_none_from_the_relations():
    with pytest.warns(UserWarning, match=r"99\.3 % of the 12247 train rows.* 63\.2 %.*99\.1 % of the 1624 validation"):
        load_mnre(REAL, splits=["train", "validation"], objects="published")

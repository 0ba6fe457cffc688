import os
import pickle
import warnings

import pytest
import torch

from tgdi_hf import load_mnre
from tgdi_hf.data.mnre_crops import listed_crops
from tgdi_hf.data.mnre_files import CorpusError

from .mnre_folder import CROPS, POSTS, write_lines


def test_published_crops_come_with_a_warning_that_quantifies_the_leak(folder_of_splits):
    with pytest.warns(UserWarning, match="leak the label") as caught:
        data = load_mnre(folder_of_splits, objects="published", splits=["train"])["train"]
    assert [len(crops) for crops in data["objects"]] == [2, 0, 1, 0]
    assert data[0]["objects"][0].size == (4, 4)
    # Rows with 1 crop have the label None, rows with 3 or 4 crops a relation.
    message = str(caught[0].message)
    assert "'None' from all other relations on 100.0 % of the 4 train rows" in message
    assert "right on 75.0 %" in message
    assert "(8 of the 11 crops have no file and are skipped)" in message
    assert caught[0].filename == __file__


def test_without_published_crops_there_is_no_warning_and_their_files_are_not_needed(folder_of_splits):
    (folder_of_splits / "txt/mre_train_dict.pth").unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_mnre(folder_of_splits)["train"]["objects"] == [[]] * 4
    with pytest.raises(CorpusError, match=r"mre_train_dict\.pth: is missing; .*objects='none'"):
        load_mnre(folder_of_splits, objects="published")


@pytest.mark.filterwarnings("ignore:The published object crops")
def test_crops_stay_with_their_rows_when_lines_are_skipped(folder):
    write_lines(folder / "txt/ours_train.txt", [POSTS[0], "not a dict", *POSTS[2:]])
    data = load_mnre(folder, objects="published", strict=False)["train"]
    assert data["id"] == ["train-0", "train-2", "train-3"]
    assert [len(crops) for crops in data["objects"]] == [2, 1, 0]


class RunsCode:
    def __reduce__(self):
        return os.system, ("touch hacked",)


@pytest.mark.parametrize(
    ("crops", "found"),
    [
        (RunsCode(), "found a reference to posix.system; not loaded"),
        ({0: RunsCode()}, "found a reference to posix.system; not loaded"),
        (["0_a.png"], r"found \['0_a.png'\]"),
        ({**CROPS, 1: "1_a.png"}, r"found the item \{1: '1_a.png'\}"),
        ({**CROPS, 1: [7]}, r"found the item \{1: \[7\]\}"),
        ({**CROPS, "1": []}, r"found the item \{'1': \[\]\}"),
        ({0: [], True: [], 2: [], 3: []}, r"found the item \{True: \[\]\}"),
        ({**CROPS, 0: torch.zeros(4)}, r"found the item \{0: tensor"),
        ({0: [], 1: [], 3: []}, r"has crops for 3 rows \(\[2\] missing\), expected rows 0 to 3"),
        ({**CROPS, 4: []}, r"has crops for 5 rows \(\[4\] unexpected\), expected rows 0 to 3"),
    ],
    ids=["code", "code inside", "list", "string", "numbers", "string key", "bool key", "tensor", "too few", "too many"],
)
@pytest.mark.parametrize("legacy", [True, False], ids=["pickle", "zip"])
@pytest.mark.parametrize("strict", [True, False])
def test_anything_but_a_plain_dict_of_crops_is_refused(folder, monkeypatch, crops, found, legacy, strict):
    monkeypatch.chdir(folder)
    torch.save(crops, folder / "txt/mre_train_dict.pth", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(CorpusError, match=rf"mre_train_dict\.pth: .*{found}") as caught:
        load_mnre(folder, objects="published", strict=strict)
    assert "weights_only" not in str(caught.value)
    assert not (folder / "hacked").exists()


@pytest.mark.parametrize("content", [b"", b"hello", pickle.dumps(CROPS, protocol=2)[:-9], b"PK\x03\x04 not a zip"])
def test_a_damaged_file_of_crops_is_refused(folder, content):
    (folder / "txt/mre_train_dict.pth").write_bytes(content)
    with pytest.raises(CorpusError, match=r"mre_train_dict\.pth: expected a pickled dict .* torch.load refuses"):
        load_mnre(folder, objects="published")


def test_rows_in_another_order_than_the_crops_are_refused(folder):
    write_lines(folder / "txt/ours_train.txt", [POSTS[2], *POSTS[:2], POSTS[3]])
    assert len(load_mnre(folder)["train"]) == 4
    with pytest.raises(
        CorpusError, match=r"ours_train\.txt, line 1: here and in 1 other rows .*phrase_text_train\.json"
    ):
        load_mnre(folder, objects="published")


@pytest.mark.parametrize("content", ["{", "[]", '{"0": 1}', b"\xff"])
def test_malformed_phrases_are_refused(folder, content):
    (folder / "txt/phrase_text_train.json").write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(CorpusError, match=r"phrase_text_train\.json: expected a JSON object from rows to phrases"):
        load_mnre(folder, objects="published")


def test_listed_crops_are_counted_whether_or_not_their_files_exist(folder):
    assert listed_crops(folder, "train") == {"train-0": 3, "train-1": 3, "train-2": 1, "train-3": 4}
    with pytest.raises(CorpusError, match="not an MNRE corpus; expected one with published crops"):
        listed_crops(folder / "img_org", "train")

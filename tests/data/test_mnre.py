import json
import logging
import os
import pickle
import time
import warnings
from pathlib import Path

import pytest
import torch
from datasets import ClassLabel, Image, List, Value
from PIL import Image as PILImage

from tgdi_hf import RELATIONS, load_mnre
from tgdi_hf.data.mnre import FEATURES, CorpusError

SHORT = {"train": ("train", "train"), "validation": ("val", "dev"), "test": ("test", "test")}


def post(
    words="JFK and Obama at Harvard", head=(0, 1), tail=(4, 5), image="a.jpg", relation="/per/org/member_of", **rest
):
    words = words.split() if isinstance(words, str) else words
    return {
        "token": words,
        "h": {"name": " ".join(words[slice(*head)]), "pos": list(head)},
        "t": {"name": " ".join(words[slice(*tail)]), "pos": list(tail)},
        "img_id": image,
        "relation": relation,
        **rest,
    }


POSTS = [
    post(),
    post(tail=(2, 3), relation="/per/per/alumi"),
    post("A&amp;M beats # Texas 😀 \u2028 it's", head=(0, 1), tail=(2, 4), image="b.jpg", relation="None"),
    # One entity inside the other.
    post("New York Times", head=(0, 3), tail=(0, 2), image="c.jpg", relation="/org/loc/locate_at"),
]
CROPS = {0: ["0_a.png", "0_b.png", "0_c.png"], 1: ["1_a.png", "1_b.png", "1_c.png"], 2: ["2_a.png"], 3: ["3_a.png"] * 4}
PHRASES = {str(i): f"{p['h']['name']} {p['t']['name']}" for i, p in enumerate(POSTS)}


def write_lines(file, records):
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [record if isinstance(record, str) else repr(record) for record in records]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")
    return file


def write_image(file, size=(8, 6), color="red"):
    file.parent.mkdir(parents=True, exist_ok=True)
    PILImage.new("RGB", size, color).save(file)


def write_split(folder, split="train", posts=POSTS, images=("a.jpg", "b.jpg")):
    """A split as HVPNeT has it: text, images, crops, and phrases; neither captions nor relevance."""
    short, short_of_crops = SHORT[split]
    write_lines(folder / f"txt/ours_{short}.txt", posts)
    for name in images:
        write_image(folder / f"img_org/{short}/{name}")
    for name in ("0_a.png", "0_c.png", "2_a.png"):
        write_image(folder / f"img_vg/{short}/crops/{name}", size=(4, 4), color="blue")
    torch.save(CROPS, folder / f"txt/mre_{short_of_crops}_dict.pth")
    (folder / f"txt/phrase_text_{short}.json").write_text(json.dumps(PHRASES))


@pytest.fixture
def peer_folder(tmp_path):
    """The layout of HVPNeT and MKGformer."""
    folder = tmp_path / "RE_data"
    for split in SHORT:
        write_split(folder, split)
    (folder / "ours_rel2id.json").write_text(json.dumps({name: i for i, name in enumerate(RELATIONS)}))
    return folder


@pytest.fixture
def folder(tmp_path):
    """A train split with captions and relevance."""
    folder = tmp_path / "mnre"
    write_split(folder)
    captions = [{"img_id": "a.jpg", "text": "two men in gowns"}, {"img_id": "b.jpg", "text": " "}]
    write_lines(folder / "caption/blip2_train.txt", captions)
    write_lines(
        folder / "relevance/train_weight_strong.txt", ["b.jpg\t0.5", "a.jpg\t0.25", "c.jpg\t1e-05", "a.jpg\t0.75"]
    )
    return folder


# What is loaded


def test_rows_have_the_columns_and_types_of_the_schema(folder):
    corpus = load_mnre(folder)
    assert list(corpus) == ["train"]
    assert corpus["train"].features == FEATURES
    assert corpus["train"].features["label"] == ClassLabel(names=list(RELATIONS))
    assert corpus["train"].features["head"] == List(Value("int32"), length=2)
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


def test_layout_of_peers_loads_all_its_splits(peer_folder):
    corpus = load_mnre(peer_folder)
    assert list(corpus) == ["train", "validation", "test"]
    for split, data in corpus.items():
        assert data["id"] == [f"{split}-{i}" for i in range(4)]
        assert data["label"] == [9, 7, 0, 14]
        assert data["caption"] == data["relevance"] == [None] * 4
        assert data.split == split


def test_text_stays_as_it_is(folder):
    assert load_mnre(folder)["train"]["words"][2] == ["A&amp;M", "beats", "#", "Texas", "😀", "it's"]
    # A line separator inside a word does not end the line.
    write_lines(
        folder / "txt/ours_train.txt", [post(["a\u2028b", "c"], tail=(1, 2)), post(["", "c", " "], tail=(1, 2))]
    )
    assert load_mnre(folder)["train"]["words"] == [["a\u2028b", "c"], ["", "c", " "]]


def test_spans_may_overlap_and_come_in_any_order(folder):
    row = load_mnre(folder)["train"][3]
    assert (row["head"], row["tail"]) == ([0, 3], [0, 2])


def test_json_lines_are_read_as_json(folder):
    # As a Python literal the escaped emoji would be two lone surrogates.
    write_lines(folder / "txt/ours_train.txt", [json.dumps(post("😀 \\/ x", tail=(2, 3)))])
    assert load_mnre(folder)["train"]["words"] == [["😀", "\\/", "x"]]


def test_byte_order_mark_carriage_returns_and_blank_lines_at_the_end_are_no_matter(folder):
    text = "\ufeff" + "\r\n".join(map(repr, POSTS)) + "\r\n\r\n  \n"
    (folder / "txt/ours_train.txt").write_bytes(text.encode())
    assert len(load_mnre(folder)["train"]) == 4


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


def test_corpus_without_a_single_image_is_loaded_with_a_warning(folder, caplog):
    (folder / "img_org").rename(folder / "images")
    assert load_mnre(folder)["train"]["image"] == [None] * 4
    assert f"4 of 4 rows have no image file in {folder / 'img_org/train'}" in caplog.text


def test_image_name_does_not_lead_out_of_the_folder(folder):
    write_image(folder.parent / "secret.jpg")
    write_lines(
        folder / "txt/ours_train.txt",
        [post(image="../../../secret.jpg"), post(image=str(folder.parent / "secret.jpg"))],
    )
    assert load_mnre(folder)["train"]["image"] == [None, None]


def test_paths_outlast_a_change_of_directory(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    data = load_mnre("mnre")["train"]
    monkeypatch.chdir("/")
    assert data[0]["image"].size == (8, 6)


def test_relevance_is_the_mean_of_the_values_of_an_image(folder):
    assert load_mnre(folder)["train"]["relevance"] == pytest.approx([0.5, 0.5, 0.5, 1e-5])
    # Published releases keep the file beside the text.
    (folder / "relevance/train_weight_strong.txt").rename(folder / "txt/train_weight_strong.txt")
    assert load_mnre(folder)["train"]["relevance"] == pytest.approx([0.5, 0.5, 0.5, 1e-5])


def test_blank_caption_is_none(folder):
    assert load_mnre(folder)["train"]["caption"] == ["two men in gowns"] * 2 + [None] * 2


def test_chosen_splits_alone_are_opened(peer_folder):
    (peer_folder / "txt/ours_test.txt").write_bytes(b"\xff")
    assert list(load_mnre(peer_folder, splits=["validation", "train"])) == ["train", "validation"]
    assert list(load_mnre(peer_folder, splits="validation")) == ["validation"]


def test_names_that_differ_from_the_words_are_logged(folder, caplog):
    write_lines(
        folder / "txt/ours_train.txt", [post(), post(h={"name": "Kennedy", "pos": [0, 1]}), post(t={"pos": [4, 5]})]
    )
    assert len(load_mnre(folder)["train"]) == 3
    assert "1 entities are named otherwise" in caplog.text
    assert "line 2: 'Kennedy' and 'JFK'" in caplog.text


# Published crops


def test_published_crops_come_with_a_warning_that_has_the_figures(peer_folder):
    with pytest.warns(UserWarning, match="leak the label") as caught:
        data = load_mnre(peer_folder, objects="published", splits=["train"])["train"]
    assert [len(crops) for crops in data["objects"]] == [2, 0, 1, 0]
    assert data[0]["objects"][0].size == (4, 4)
    # 1 crop says None, 3 and 4 crops say a relation.
    message = str(caught[0].message)
    assert "'None' from all other relations on 100.0 % of the 4 train rows" in message
    assert "right on 75.0 %" in message
    assert "(8 of the 11 crops have no file and are left out)" in message
    assert caught[0].filename == __file__


def test_without_published_crops_there_is_no_warning_and_their_files_are_not_needed(peer_folder):
    (peer_folder / "txt/mre_train_dict.pth").unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_mnre(peer_folder)["train"]["objects"] == [[]] * 4
    with pytest.raises(CorpusError, match=r"mre_train_dict\.pth: is missing; .*objects='none'"):
        load_mnre(peer_folder, objects="published")


@pytest.mark.filterwarnings("ignore:The published object crops")
def test_crops_stay_with_their_rows_when_lines_are_left_out(folder):
    write_lines(folder / "txt/ours_train.txt", [POSTS[0], "not a dict", *POSTS[2:]])
    data = load_mnre(folder, objects="published", strict=False)["train"]
    assert data["id"] == ["train-0", "train-2", "train-3"]
    assert [len(crops) for crops in data["objects"]] == [2, 1, 0]


class Evil:
    def __reduce__(self):
        return os.system, ("touch hacked",)


@pytest.mark.parametrize(
    ("crops", "found"),
    [
        (Evil(), "found a reference to posix.system; not loaded"),
        ({0: Evil()}, "found a reference to posix.system; not loaded"),
        (["0_a.png"], r"found \['0_a.png'\]"),
        ({**CROPS, 1: "1_a.png"}, r"found \{1: '1_a.png'\} in it"),
        ({**CROPS, 1: [7]}, r"found \{1: \[7\]\} in it"),
        ({**CROPS, "1": []}, r"found \{'1': \[\]\} in it"),
        ({0: [], True: [], 2: [], 3: []}, r"found \{True: \[\]\} in it"),
        ({**CROPS, 0: torch.zeros(4)}, r"found \{0: tensor"),
        ({0: [], 1: [], 3: []}, r"has crops for 3 rows \(\[2\] missing\), expected rows 0 to 3"),
        ({**CROPS, 4: []}, r"has crops for 5 rows \(\[4\] too many\), expected rows 0 to 3"),
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
def test_damaged_file_of_crops_is_refused(folder, content):
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


# Wrong lines

BAD_POSTS = {
    "neither Python nor JSON": ("{'token': [", "expected a dict as Python or JSON writes it, found \"{'token': \\[\""),
    "code": ("__import__('os').system('touch hacked')", "expected a dict as Python or JSON writes it"),
    "deeply nested": ("[" * 9999, "expected a dict as Python or JSON writes it"),
    "unhashable": ("{[]: 1}", "expected a dict as Python or JSON writes it"),
    "blank": ("", "expected a dict as Python or JSON writes it, found ''"),
    "list": ("[1, 2]", r"expected a dict, found \[1, 2\]"),
    "keys missing": ("{'token': ['a'], 'h': {}}", "t, img_id, relation missing"),
    "text for words": (post(token="JFK and Obama"), "`token` is 'JFK and Obama'; expected a list of strings"),
    "no words": (post(token=[]), r"`token` is \[\]"),
    "numbers for words": (post(token=["a", 1, "b", "c", "d"]), r"`token` is \['a', 1"),
    "half a character": (post(token=["\ud83d"] * 5), "`token` is"),
    "number for image": (post(image=7), "`img_id` is 7"),
    "no positions": (post(h={"name": "JFK"}), "`h` is {'name': 'JFK'}; expected a dict whose `pos` is"),
    "entity is text": (post(t="Harvard"), "`t` is 'Harvard'"),
    "three positions": (post(h={"pos": [0, 1, 2]}), r"`h` is {'pos': \[0, 1, 2\]}"),
    "fractions": (post(h={"pos": [0, 1.0]}), r"`h` is {'pos': \[0, 1.0\]}"),
    "truth values": (post(h={"pos": [False, True]}), r"`h` is {'pos': \[False, True\]}"),
    "empty span": (post(h={"pos": [2, 2]}), r"`pos` of `h` is \[2, 2\], which is empty"),
    "reversed span": (post(t={"pos": [3, 1]}), r"`pos` of `t` is \[3, 1\], which is reversed"),
    "span past the end": (post(t={"pos": [4, 6]}), r"`pos` of `t` is \[4, 6\], outside the 5 words"),
    "span before the start": (post(t={"pos": [-2, 1]}), r"`pos` of `t` is \[-2, 1\], outside the 5 words"),
    "unknown relation": (
        post(relation="/per/per/alumni"),
        "unknown relation '/per/per/alumni', did you mean '/per/per/alumi'?",
    ),
    "relation is a list": (post(relation=["None"]), r"unknown relation \['None'\]"),
}


@pytest.mark.parametrize(("line", "reason"), BAD_POSTS.values(), ids=BAD_POSTS)
def test_wrong_row_is_named_with_file_and_line(folder, caplog, monkeypatch, line, reason):
    monkeypatch.chdir(folder)
    file = write_lines(folder / "txt/ours_train.txt", [POSTS[0], line, *POSTS[2:]])
    with pytest.raises(CorpusError, match=reason) as caught:
        load_mnre(folder)
    assert str(caught.value).startswith(f"{file}, line 2: ")

    errors = []
    data = load_mnre(folder, strict=False, errors=errors)["train"]
    assert data["id"] == ["train-0", "train-2", "train-3"]
    assert [(error.file, error.line) for error in errors] == [(str(file), 2)]
    assert str(errors[0]) == str(caught.value)
    assert "1 wrong lines of" in caplog.text
    assert str(errors[0]) in caplog.text
    assert not (folder / "hacked").exists()


def test_line_that_is_not_utf8_is_named(folder):
    file = folder / "txt/ours_train.txt"
    file.write_bytes(file.read_bytes() + b"{'token': ['\xff']}\n")
    with pytest.raises(CorpusError, match=r"ours_train\.txt, line 5: 'utf-8' codec can't decode"):
        load_mnre(folder)


@pytest.mark.parametrize(
    ("file", "line", "reason"),
    [
        ("caption/blip2_train.txt", "{'img_id': 'a.jpg'}", "expected a dict with img_id, text; text missing"),
        ("caption/blip2_train.txt", "{'img_id': 'a.jpg', 'text': None}", "expected strings as `img_id` and `text`"),
        ("caption/blip2_train.txt", "a.jpg\ta man", "expected a dict as Python or JSON writes it"),
        ("caption/blip2_train.txt", "{'img_id': 'a.jpg', 'text': 'x'}", "a second caption of a.jpg, 'x'"),
        ("relevance/train_weight_strong.txt", "a.jpg 0.5", "an image, a tab, and a number from 0 to 1"),
        ("relevance/train_weight_strong.txt", "a.jpg\thigh", "an image, a tab, and a number from 0 to 1"),
        ("relevance/train_weight_strong.txt", "a.jpg\tnan", "an image, a tab, and a number from 0 to 1"),
        ("relevance/train_weight_strong.txt", "a.jpg\t1.5", "an image, a tab, and a number from 0 to 1"),
        ("relevance/train_weight_strong.txt", "\t0.5", "an image, a tab, and a number from 0 to 1"),
    ],
)
def test_wrong_line_beside_the_rows_is_named_and_the_rest_loaded(folder, file, line, reason):
    path = folder / file
    number = len(path.read_text().splitlines()) + 1
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(CorpusError, match=reason) as caught:
        load_mnre(folder)
    assert (caught.value.file, caught.value.line) == (str(path), number)
    errors = []
    data = load_mnre(folder, strict=False, errors=errors)["train"]
    assert [str(error) for error in errors] == [str(caught.value)]
    assert data["caption"][0] == "two men in gowns"
    assert data["relevance"][0] == 0.5


def test_errors_of_several_files_and_calls_add_up(folder, caplog):
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
    assert caplog.text.count("3 wrong lines of") == 2


def test_corpus_error_survives_pickling():
    error = pickle.loads(pickle.dumps(CorpusError(Path("a/b.txt"), 3, "wrong.")))
    assert (str(error), error.file, error.line, error.reason) == ("a/b.txt, line 3: wrong.", "a/b.txt", 3, "wrong.")


# Wrong files and folders


@pytest.mark.parametrize("text", ["", "\n \n"])
@pytest.mark.parametrize("strict", [True, False])
def test_empty_file_is_refused(folder, text, strict):
    (folder / "txt/ours_train.txt").write_text(text)
    with pytest.raises(CorpusError, match=r"ours_train\.txt: has 0 rows, none of them usable"):
        load_mnre(folder, strict=strict)


def test_file_without_a_usable_row_is_refused_and_its_lines_reported(folder):
    write_lines(folder / "txt/ours_train.txt", ["x", "y"])
    errors = []
    with pytest.raises(CorpusError, match="has 2 rows, none of them usable"):
        load_mnre(folder, strict=False, errors=errors)
    assert [error.line for error in errors] == [1, 2]


def test_folder_without_a_corpus_is_refused_with_what_was_looked_for(tmp_path):
    expected = r"no MNRE corpus.* txt/ours_train\.txt, txt/ours_val\.txt, txt/ours_test\.txt not found\.$"
    with pytest.raises(CorpusError, match=expected):
        load_mnre(tmp_path)
    with pytest.raises(CorpusError, match="there is no such folder"):
        load_mnre(tmp_path / "nowhere")


@pytest.mark.parametrize("wrong", [".", "RE_data/txt", "RE_data/img_org"])
def test_neighbouring_folder_hints_at_the_right_one(peer_folder, wrong):
    with pytest.raises(CorpusError, match=rf"Did you mean {peer_folder}\?"):
        load_mnre(peer_folder.parent / wrong)


def test_split_that_is_asked_for_but_absent_is_refused(folder):
    with pytest.raises(CorpusError, match=r"txt/ours_val\.txt not found\.$"):
        load_mnre(folder, splits=["train", "validation"])


@pytest.mark.parametrize(("splits", "found"), [(["dev"], r"\['dev'\]"), ("val", r"\['val'\]"), ([], "no split")])
def test_unknown_split_is_refused(folder, splits, found):
    with pytest.raises(ValueError, match=rf"`splits` has {found}; expected some of \['train', 'validation', 'test'\]"):
        load_mnre(folder, splits=splits)


def test_unknown_kind_of_objects_is_refused(folder):
    with pytest.raises(ValueError, match="`objects` is 'all'; expected 'none' or 'published'"):
        load_mnre(folder, objects="all")


IDS = {name: i for i, name in enumerate(RELATIONS)}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (json.dumps({**IDS, "None": 22, "/misc/loc/held_on": 0}), "'None' is 22, not 0"),
        (json.dumps({**IDS, "/per/per/alumni": 23}), "'/per/per/alumni' is unknown, did you mean '/per/per/alumi'?"),
        (json.dumps({name: i for name, i in IDS.items() if i != 7}), "'/per/per/alumi' is missing"),
        (json.dumps(list(RELATIONS)), r"expected a JSON object from relations to ids, found \['None'"),
        ("{'None': 0}", "expected a JSON object from relations to ids"),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_other_relations_are_refused(folder, content, reason, strict):
    (folder / "ours_rel2id.json").write_text(content)
    with pytest.raises(CorpusError, match=rf"ours_rel2id\.json: .*{reason}"):
        load_mnre(folder, strict=strict)


# The corpus itself

REAL = Path(os.environ.get("TGDI_MNRE", Path(__file__).resolve().parents[3] / "shared" / "mnre"))
needs_mnre = pytest.mark.skipif(
    not (REAL / "txt/ours_train.txt").is_file(), reason=f"no MNRE in {REAL}; TGDI_MNRE can name its folder"
)


@pytest.fixture(scope="module")
def mnre():
    return load_mnre(REAL, splits=["train", "validation"])


@needs_mnre
def test_mnre_has_the_published_numbers(mnre):
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
def test_relevance_of_mnre_is_one_value_an_image(mnre):
    by_image = {}
    for image, value in zip(mnre["train"]["image_id"], mnre["train"]["relevance"]):
        assert by_image.setdefault(image, value) == value
        assert 0 <= value <= 1
    assert len(by_image) == 7356


@needs_mnre
@pytest.mark.skipif(not (REAL / "txt/mre_train_dict.pth").is_file(), reason=f"no published crops in {REAL}")
def test_published_crops_of_mnre_tell_none_from_the_rest():
    with pytest.warns(UserWarning, match=r"99\.3 % of the 12247 train rows.* 63\.2 %.*99\.1 % of the 1624 validation"):
        load_mnre(REAL, splits=["train", "validation"], objects="published")

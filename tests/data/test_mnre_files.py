import json
import pickle
from pathlib import Path

import pytest

from tgdi_hf import load_mnre
from tgdi_hf.data.mnre_files import CorpusError, read_relations

from .mnre_folder import POSTS, post, write_lines


def test_json_is_read_as_json(folder):
    # As a Python literal the escaped emoji would be two lone surrogates.
    write_lines(folder / "txt/ours_train.txt", [json.dumps(post("😀 \\/ x", tail=(2, 3)))])
    assert load_mnre(folder)["train"]["words"] == [["😀", "\\/", "x"]]


def test_byte_order_mark_carriage_returns_and_trailing_blank_lines_are_ignored(folder):
    text = "\ufeff" + "\r\n".join(map(repr, POSTS)) + "\r\n\r\n  \n"
    (folder / "txt/ours_train.txt").write_bytes(text.encode())
    assert len(load_mnre(folder)["train"]) == 4


def test_relevance_is_the_mean_over_the_values_of_an_image(folder):
    assert load_mnre(folder)["train"]["relevance"] == pytest.approx([0.5, 0.5, 0.5, 1e-5])
    # Published releases keep the file beside the text.
    (folder / "relevance/train_weight_strong.txt").rename(folder / "txt/train_weight_strong.txt")
    assert load_mnre(folder)["train"]["relevance"] == pytest.approx([0.5, 0.5, 0.5, 1e-5])


def test_a_blank_caption_is_none(folder):
    assert load_mnre(folder)["train"]["caption"] == ["two men in gowns"] * 2 + [None] * 2


BAD_POSTS = {
    "neither Python nor JSON": ("{'token': [", "expected a dict in Python or JSON syntax, found \"{'token': \\[\""),
    "code": ("__import__('os').system('touch hacked')", "expected a dict in Python or JSON syntax"),
    "deeply nested": ("[" * 9999, "expected a dict in Python or JSON syntax"),
    "unhashable": ("{[]: 1}", "expected a dict in Python or JSON syntax"),
    "blank": ("", "expected a dict in Python or JSON syntax, found ''"),
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
        "unknown relation '/per/per/alumni', did you mean '/per/per/alumi'.; expected one of the 23 relations of MNRE",
    ),
    "relation is a list": (post(relation=["None"]), r"`relation` is \['None'\]; expected the name of a relation"),
    "relation is blank": (post(relation=" "), "`relation` is ' '; expected the name of a relation"),
}


@pytest.mark.parametrize(("line", "reason"), BAD_POSTS.values(), ids=BAD_POSTS)
def test_an_invalid_row_is_named_with_file_and_line(folder, caplog, monkeypatch, line, reason):
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
    assert "Skipped 1 invalid lines of" in caplog.text
    assert str(errors[0]) in caplog.text
    assert not (folder / "hacked").exists()


def test_a_line_of_invalid_utf_8_is_named(folder):
    file = folder / "txt/ours_train.txt"
    file.write_bytes(file.read_bytes() + b"{'token': ['\xff']}\n")
    with pytest.raises(CorpusError, match=r"ours_train\.txt, line 5: 'utf-8' codec can't decode"):
        load_mnre(folder)


@pytest.mark.parametrize(
    ("file", "line", "reason"),
    [
        ("caption/blip2_train.txt", "{'img_id': 'a.jpg'}", "expected a dict with img_id, text; text missing"),
        ("caption/blip2_train.txt", "{'img_id': 'a.jpg', 'text': None}", "expected strings as `img_id` and `text`"),
        ("caption/blip2_train.txt", "a.jpg\ta man", "expected a dict in Python or JSON syntax"),
        ("caption/blip2_train.txt", "{'img_id': 'a.jpg', 'text': 'x'}", "a second caption of a.jpg, 'x'"),
        ("relevance/train_weight_strong.txt", "a.jpg 0.5", "an image, a tab, and a number from 0 to 1"),
        ("relevance/train_weight_strong.txt", "a.jpg\thigh", "an image, a tab, and a number from 0 to 1"),
        ("relevance/train_weight_strong.txt", "a.jpg\tnan", "an image, a tab, and a number from 0 to 1"),
        ("relevance/train_weight_strong.txt", "a.jpg\t1.5", "an image, a tab, and a number from 0 to 1"),
        ("relevance/train_weight_strong.txt", "\t0.5", "an image, a tab, and a number from 0 to 1"),
    ],
)
def test_an_invalid_caption_or_relevance_is_named_and_the_rest_is_loaded(folder, file, line, reason):
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


def test_corpus_error_survives_pickling():
    error = pickle.loads(pickle.dumps(CorpusError(Path("a/b.txt"), 3, "wrong.")))
    assert (str(error), error.file, error.line, error.reason) == ("a/b.txt, line 3: wrong.", "a/b.txt", 3, "wrong.")


IDS = {"none": 1, "/per/per/colleague": 0, "/per/per/peer": 2}


def test_relations_follow_their_ids(tmp_path):
    (tmp_path / "rel2id.json").write_text(json.dumps(IDS))
    assert read_relations(tmp_path / "rel2id.json") == ("/per/per/colleague", "none", "/per/per/peer")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (json.dumps({**IDS, "none": 3}), "to ids from 0 to 2; 'none' is 3"),
        (json.dumps({**IDS, "none": "1"}), "to ids from 0 to 2; 'none' is '1'"),
        (json.dumps({**IDS, "none": True}), "to ids from 0 to 2; 'none' is True"),
        (json.dumps({**IDS, "none": 2}), "one id per relation; 'none' and '/per/per/peer' are both 2"),
        (json.dumps({**IDS, " ": 3}), "found the relation ' '"),
        (json.dumps(list(IDS)), r"found \['none'"),
        ("{}", r"found \{\}"),
        ("{'none': 0}", r"relations to ids \(Expecting property name"),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_malformed_relation_ids_are_refused(folder, content, reason, strict):
    (folder / "ours_rel2id.json").write_text(content)
    with pytest.raises(CorpusError, match=rf"ours_rel2id\.json: expected a JSON object from.* {reason}"):
        load_mnre(folder, strict=strict)

import pytest

from tgdi_hf import TGDICollator, prepare

from .preparation_stubs import POST, TEXT, StubCaptioner, StubGrounder, posts, saved_image

TWICE = {"text": "Ann met Bob, Ann left Bob", "head": "Ann", "tail": "Bob"}


def test_unusable_posts_are_left_out_and_reported(tmp_path, options):
    rows = [
        {**POST, "id": "a", "head": "JFK", "tail": "Harvard"},
        {**POST, "id": "a", "head": "JFK", "tail": "Harvard"},
        {**POST, "id": "b", "head": "Nixon", "tail": "Harvard"},
        {"text": "Obama meets Obama", "id": "c", "head": "Obama", "tail": "meets"},
        {"text": "", "id": "d", "head": "JFK", "tail": "Harvard"},
        {**POST, "id": "e", "head": "[17, 99]", "tail": "JFK"},
        {"text": "Annual Ann", "id": "f", "head": "Ann", "tail": "[0, 6]"},
    ]
    done = prepare(posts(*rows), tmp_path / "out", **options)
    assert [(row["id"], row["head"]) for row in done.dataset["train"]] == [("a", [0, 3]), ("f", [7, 10])]
    reasons = {fault.row: (fault.kind, fault.reason) for fault in done.faults}
    assert reasons[1] == ("id", "train, row 1: an earlier post has the same id 'a'.")
    assert "`head` is 'Nixon', which is not in the text" in reasons[2][1]
    assert "one of the spans [0, 5), [12, 17)" in reasons[3][1]
    assert "has no text" in reasons[4][1]
    assert "lies outside the text" in reasons[5][1]
    assert not any(fault.kept for fault in done.faults)


def test_spans_of_words_stay_spans_of_words(tmp_path, options):
    rows = [{"words": TEXT.split(), "head": [0, 1], "tail": [4, 5], "image": saved_image(tmp_path, "a.png")}]
    done = prepare(posts(*rows), tmp_path / "out", None, StubGrounder(), **options)
    (row,) = done.dataset["train"]
    assert (row["head"], row["tail"], row["object_phrases"]) == ([0, 1], [4, 5], ["jfk"])


def test_the_first_or_all_occurrences_are_taken_on_request(tmp_path, options):
    path = saved_image(tmp_path, "a.png")
    rows = [{**TWICE, "id": "1", "image": path, "n": 1}, {**POST, "head": "JFK", "tail": "Obama", "id": "2", "n": 2}]
    done = prepare(posts(*rows), tmp_path / "error", **options)
    assert done.dataset["train"]["id"][:] == ["2"]
    (fault,) = done.faults
    assert (fault.row, fault.kind, fault.kept) == (0, "text", False) and "occurs 2 times" in fault.reason
    first = prepare(posts(*rows), tmp_path / "first", ambiguous="first", **options).dataset["train"]
    assert [(row["head"], row["tail"]) for row in first] == [([0, 3], [8, 11]), ([0, 3], [8, 13])]
    grounder = StubGrounder()
    done = prepare(posts(*rows), tmp_path / "all", None, grounder, ambiguous="all", **options)
    assert [(row["id"], row["n"], row["head"], row["tail"]) for row in done.dataset["train"]] == [
        ("1", 1, [0, 3], [8, 11]),
        ("1", 1, [0, 3], [22, 25]),
        ("1", 1, [13, 16], [8, 11]),
        ("1", 1, [13, 16], [22, 25]),
        ("2", 2, [0, 3], [8, 13]),
    ]
    assert (done.rows, done.faults, done.grounded) == (2, [], 2)  # for the phrases "ann, bob" and "bob, ann"
    assert not {"_row", "_query"} & set(done.dataset["train"].column_names)
    with pytest.raises(ValueError, match="`ambiguous` is 'any'"):
        prepare(posts(*rows), tmp_path / "none", ambiguous="any", **options)


def test_a_fault_of_a_post_with_several_rows_is_reported_once(tmp_path, options):
    (tmp_path / "bad.png").write_bytes(b"no image")
    missing = str(tmp_path / "missing.png")
    table = posts(
        {**TWICE, "id": "1", "image": missing},
        {**TWICE, "id": "1", "image": None},
        {**TWICE, "id": "2", "image": str(tmp_path / "bad.png")},
        {**TWICE, "id": "3", "head": "Eve", "image": None},
    )
    done = prepare(table, tmp_path / "out", StubCaptioner(), ambiguous="all", **options)
    assert [(fault.row, fault.kind, fault.kept) for fault in done.faults] == [
        *((0, "image", True), (1, "id", False), (2, "image", True), (3, "text", False)),
    ]
    assert done.dataset["train"]["id"][:] == ["1"] * 4 + ["2"] * 4


def test_spans_are_trimmed_and_invalid_spans_are_reported(tmp_path, options):
    text = "Ann  met Jose\u0301 "
    rows = [
        {"text": text, "head": [0, 5], "tail": [9, 15]},
        {"text": text, "head": [3, 5], "tail": [9, 14]},
        {"text": text, "head": [0, 3], "tail": [9, 13]},
    ]
    done = prepare(posts(*rows), tmp_path / "out", **options)
    assert [(row["head"], row["tail"]) for row in done.dataset["train"]] == [([0, 3], [9, 14])]
    assert [fault.row for fault in done.faults] == [1, 2]
    assert "no visible character" in done.faults[0].reason and "[9, 14)" in done.faults[1].reason


def test_posts_with_text_and_words_keep_their_words(tmp_path, options, processor):
    words = ["Ann", ",", "meets", "Bob"]
    rows = [
        {"text": "Ann, meets Bob", "words": words, "head": "Ann", "tail": "Bob"},
        {"text": "Ann, meets Bob", "words": words, "head": "[0, 3]", "tail": "Bob"},
        {"text": "Ann meets Bob", "words": None, "head": "[0, 3]", "tail": "Bob"},
    ]
    done = prepare(posts(*rows), tmp_path / "out", **options)
    assert [(row["text"], row["words"], row["head"], row["tail"]) for row in done.dataset["train"]] == [
        (None, words, [0, 1], [3, 4]),
        ("Ann meets Bob", None, [0, 3], [10, 13]),
    ]
    (fault,) = done.faults
    assert fault.row == 1 and "in words and 'Ann' in characters" in fault.reason
    TGDICollator(processor)([*done.dataset["train"]])  # the output can be collated for training

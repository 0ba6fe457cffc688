import csv
import errno
import hashlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset, DatasetDict, load_dataset, load_from_disk
from filelock import FileLock
from PIL import Image

from tgdi_hf import TGDICollator, TGDIProcessor, prepare, undecoded
from tgdi_hf.data.loading import read_table
from tgdi_hf.demo.tiny import tiny_image_processor, tiny_tokenizer
from tgdi_hf.preparation.result_cache import ResultCache
from tgdi_hf.preparation.scan import READ
from tgdi_hf.preparation.summary import Preparation

TEXT = "JFK and Obama at Harvard"
POST = {"text": TEXT, "head": [0, 3], "tail": [17, 24]}


class StubCaptioner:
    """Says how large an image is and how bright; remembers what it was asked."""

    def __init__(self, **settings):
        self.settings = {"model": "stub", **settings}
        self.batches = []

    def __call__(self, images):
        self.batches.append(len(images))
        return [f"{image.width} by {image.height}, {np.asarray(image).mean():.1f}" for image in images]


class StubGrounder(StubCaptioner):
    """Finds the first phrase in the upper left half."""

    def __call__(self, images, phrases):
        self.batches.append(len(images))
        return [
            [{"box": [0.0, 0.0, image.width / 2, image.height / 2], "score": 0.5, "phrase": row[0]}]
            for image, row in zip(images, phrases, strict=True)
        ]


def saved_image(folder, name, shade=100, size=(12, 8), **options):
    path = folder / name
    Image.new("RGB", size, (shade, shade, shade)).save(path, **options)
    return str(path)


def posts(*rows):
    columns = {name: [row.get(name) for row in rows] for name in dict.fromkeys(name for row in rows for name in row)}
    for name in ("head", "tail"):  # a column has one type
        if len({type(value) for value in columns[name]}) > 1:
            columns[name] = [value if isinstance(value, str) else json.dumps(value) for value in columns[name]]
    return DatasetDict(train=Dataset.from_dict(columns))


def files(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def options(tmp_path):
    return {"cache": tmp_path / "cache", "progress": False}


def test_posts_get_captions_and_objects_with_what_made_them(tmp_path, options):
    path = saved_image(tmp_path, "a.png")
    table = posts({**POST, "image": path, "label": "peer", "id": "7"}, {**POST, "head": "Obama", "image": None})
    done = prepare(table, tmp_path / "out", StubCaptioner(), StubGrounder(), **options)
    first, second = done.dataset["train"]
    assert first["caption"] == "12 by 8, 100.0"
    assert (first["objects"], first["object_scores"], first["object_phrases"]) == ([[0, 0, 6, 4]], [0.5], ["jfk"])
    assert first["image"].size == (12, 8)
    assert (first["label"], first["id"]) == ("peer", "7")
    assert second["head"] == [8, 13]
    assert (second["image"], second["caption"], second["objects"]) == (None, None, [])
    assert not done.faults
    made = json.loads((tmp_path / "out" / "prepared.json").read_text())
    assert first["caption_by"] == made["caption"]["key"]
    assert first["objects_by"] == made["objects"]["key"]
    assert made["caption"]["model"] == "stub"
    # What is on disk loads by the usual ways.
    assert load_from_disk(str(tmp_path / "out" / "dataset"))["train"][0]["caption"] == first["caption"]
    parquet = load_dataset("parquet", data_files=str(tmp_path / "out/parquet/train.parquet"), cache_dir=tmp_path / "hf")
    assert parquet["train"][0]["objects"] == first["objects"]
    assert not [*tmp_path.glob("out.*")]


def test_each_distinct_image_is_looked_at_once_whatever_its_name(tmp_path, options):
    same, other = saved_image(tmp_path, "a.png"), saved_image(tmp_path, "b.png", 50)
    copy = tmp_path / "copy.png"
    copy.write_bytes(Path(same).read_bytes())
    content = {"bytes": Path(same).read_bytes(), "path": None}
    table = posts(*({**POST, "image": path} for path in (same, other, str(copy), same)))
    table["more"] = Dataset.from_list([{**POST, "image": content}])
    captioner, grounder = StubCaptioner(), StubGrounder()
    done = prepare(table, tmp_path / "one", captioner, grounder, **options)
    assert captioner.batches == grounder.batches == [2]
    assert (done.images, done.captioned, done.grounded) == (2, 2, 2)
    captions = [row["caption"][-5:] for row in done.dataset["train"]]
    assert captions == ["100.0", " 50.0", "100.0", "100.0"]
    # Nothing is asked again; other settings are another model.
    again = prepare(table, tmp_path / "two", captioner, grounder, **options)
    assert (again.captioned, again.grounded) == (0, 0)
    assert captioner.batches == [2]
    other = prepare(table, tmp_path / "three", StubCaptioner(prompt="a photo"), grounder, **options)
    assert (other.captioned, other.grounded) == (2, 0)
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_phrases_are_looked_for_once_for_each_image_and_pair(tmp_path, options):
    path = saved_image(tmp_path, "a.png")
    rows = [{**POST, "image": path}, {**POST, "head": [17, 24], "tail": [0, 3], "image": path}]
    grounder = StubGrounder()
    done = prepare(posts(*rows, {**POST, "head": [8, 13], "image": path}), tmp_path / "out", None, grounder, **options)
    assert done.grounded == 2  # the pair the other way round asks the same
    assert [row["object_phrases"] for row in done.dataset["train"]] == [["jfk"], ["jfk"], ["obama"]]
    assert [row["caption"] for row in done.dataset["train"]] == [None] * 3


def test_labels_make_no_difference_to_a_byte(tmp_path, options):
    """The field's published crops were cut out with phrases made from the label."""
    paths = [saved_image(tmp_path, f"{i}.png", 10 * i) for i in range(6)]
    rows = [{**POST, "image": path, "relation": "None" if i % 2 else "peer"} for i, path in enumerate(paths)]
    permuted = [{**row, "relation": "peer" if row["relation"] == "None" else "None"} for row in rows]
    outputs = []
    for name, given in (("a", rows), ("b", permuted)):
        chosen = {**options, "cache": tmp_path / f"cache-{name}"}
        done = prepare(posts(*given), tmp_path / name, StubCaptioner(), StubGrounder(), **chosen)
        outputs.append(done.dataset["train"])
        with ResultCache(chosen["cache"]) as cache:
            outputs.append(sorted(cache._db.execute("SELECT * FROM results").fetchall()))
    assert outputs[0]["relation"] != outputs[2]["relation"]
    assert [*outputs[0].remove_columns("relation")] == [*outputs[2].remove_columns("relation")]
    assert outputs[1] == outputs[3]
    assert not {"label", "relation"} & set(READ)
    # Without that column the files are equal to the last byte.
    for name, given in (("c", rows), ("d", permuted)):
        prepare(posts(*given).remove_columns("relation"), tmp_path / name, StubCaptioner(), StubGrounder(), **options)
    assert files(tmp_path / "c") == files(tmp_path / "d")


def test_what_posts_bring_with_them_is_kept(tmp_path, options):
    path = saved_image(tmp_path, "a.png")
    rows = [
        {**POST, "image": path, "caption": "two men", "objects": [[1.0, 1.0, 5.0, 5.0]]},
        {**POST, "image": path, "caption": None, "objects": []},
    ]
    captioner, grounder = StubCaptioner(), StubGrounder()
    done = prepare(posts(*rows), tmp_path / "out", captioner, grounder, **options)
    first, second = done.dataset["train"]
    assert (first["caption"], first["caption_by"], first["objects"]) == ("two men", "given", [[1, 1, 5, 5]])
    assert first["objects_by"] == "given"
    assert second["caption"].startswith("12 by 8")
    assert second["objects"] == [[0, 0, 6, 4]]


def bad_images(folder):
    """By name: a file that can't be used, and what is said of it."""
    whole = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)
    Image.fromarray(noise).save(whole, "JPEG")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "page.jpg").write_text("<html><body>404</body></html>")
    (folder / "truncated.jpg").write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    Image.new("1", (20_000, 20_000)).save(folder / "bomb.png")
    return {
        "missing.jpg": "no such file",
        "empty.jpg": "is empty",
        "page.jpg": "not in an image format",
        "truncated.jpg": "damaged, truncated",
        "bomb.png": "not decoded",
        "https://example.org/a.jpg": "URLs are not fetched",
    }


def test_bad_images_are_reported_and_all_else_goes_through(tmp_path, options):
    bad = bad_images(tmp_path)
    rows = [{**POST, "image": name, "id": name} for name in bad]
    rows.insert(3, {**POST, "image": saved_image(tmp_path, "good.png"), "id": "good"})
    done = prepare(posts(*rows), tmp_path / "out", StubCaptioner(), StubGrounder(), image_folder=tmp_path, **options)
    report = [json.loads(line) for line in (tmp_path / "out" / "report.jsonl").read_text().splitlines()]
    assert {fault["id"]: fault["kind"] for fault in report} == dict.fromkeys(bad, "image")
    for fault in report:
        assert bad[fault["id"]] in fault["reason"], fault
        assert fault["kept"]
        assert rows[fault["row"]]["id"] == fault["id"]
    kept = {row["id"]: row for row in done.dataset["train"]}
    assert len(kept) == 7
    assert kept["good"]["caption"]
    for name in bad:
        assert (kept[name]["image"], kept[name]["image_hash"], kept[name]["caption"]) == (None, None, None)
    assert "6 posts with unusable image, kept without it" in done.summary()
    # Known to be bad, they are not opened again, and reported again.
    again = prepare(posts(*rows), tmp_path / "two", StubCaptioner(), StubGrounder(), image_folder=tmp_path, **options)
    assert files(tmp_path / "out") == files(tmp_path / "two")
    assert again.captioned == 0


def test_odd_images_are_as_good_as_any(tmp_path, options):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8))
    noise.convert("CMYK").save(tmp_path / "cmyk.jpg")
    noise.save(tmp_path / "moving.gif", save_all=True, append_images=[Image.new("RGB", (40, 30))])
    turned = Image.Exif()
    turned[0x0112] = 6
    noise.save(tmp_path / "turned.jpg", exif=turned)
    noise.convert("L").save(tmp_path / "gray.png")
    names = ("cmyk.jpg", "moving.gif", "turned.jpg", "gray.png")
    rows = [{**POST, "image": name} for name in names]
    done = prepare(posts(*rows), tmp_path / "out", StubCaptioner(), image_folder=tmp_path, **options)
    assert not done.faults
    sizes = [row["caption"].split(",")[0] for row in done.dataset["train"]]
    assert sizes == ["40 by 30", "40 by 30", "30 by 40", "40 by 30"]


def test_paths_outside_of_the_image_root_are_refused(tmp_path, options):
    inside = tmp_path / "images"
    inside.mkdir()
    saved_image(tmp_path, "secret.png")
    saved_image(inside, "a.png")
    (inside / "link.png").symlink_to(tmp_path / "secret.png")
    paths = ["a.png", "../secret.png", str(tmp_path / "secret.png"), "link.png", "./../images/a.png"]
    rows = [{**POST, "image": path} for path in paths]
    chosen = {**options, "image_folder": inside, "image_root": inside}
    done = prepare(posts(*rows), tmp_path / "out", StubCaptioner(), **chosen)
    assert [fault.row for fault in done.faults] == [1, 2, 3]
    assert all("is outside the image root" in fault.reason for fault in done.faults)


def test_posts_that_say_nothing_usable_are_left_out_and_reported(tmp_path, options):
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


def test_splits_without_a_usable_post_are_left_out(tmp_path, options, caplog):
    table = posts(POST)
    table["validation"] = Dataset.from_list([{**POST, "head": [0, 99]}])
    table["test"] = table["train"].select([])
    for embed in (False, True):
        done = prepare(table, tmp_path / f"out-{embed}", StubCaptioner(), embed_images=embed, **options)
        assert {split: len(rows) for split, rows in done.dataset.items()} == {"train": 1}
        assert [fault.split for fault in done.faults] == ["validation"]
        assert "left out: validation, test" in caplog.text
    del table["train"]
    with pytest.raises(ValueError, match=r"No post can be used; the first fault: .* lies outside the text"):
        prepare(table, tmp_path / "none", **options)
    assert not (tmp_path / "none").exists()


def test_words_keep_their_spans_in_words(tmp_path, options):
    rows = [{"words": TEXT.split(), "head": [0, 1], "tail": [4, 5], "image": saved_image(tmp_path, "a.png")}]
    done = prepare(posts(*rows), tmp_path / "out", None, StubGrounder(), **options)
    (row,) = done.dataset["train"]
    assert (row["head"], row["tail"], row["object_phrases"]) == ([0, 1], [4, 5], ["jfk"])


TWICE = {"text": "Ann met Bob, Ann left Bob", "head": "Ann", "tail": "Bob"}


def test_of_several_places_the_first_or_all_are_taken_on_request(tmp_path, options):
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
    assert (done.rows, done.faults, done.grounded) == (2, [], 2)  # "ann, bob" and "bob, ann" are looked for
    assert not {"_row", "_query"} & set(done.dataset["train"].column_names)
    with pytest.raises(ValueError, match="`ambiguous` is 'any'"):
        prepare(posts(*rows), tmp_path / "none", ambiguous="any", **options)


def test_faults_of_a_post_with_several_rows_are_reported_once_and_name_the_post(tmp_path, options):
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


def test_spans_are_trimmed_and_bad_ones_reported(tmp_path, options):
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
    TGDICollator(processor)([*done.dataset["train"]])  # what was made can be trained on


def test_an_image_that_a_model_fails_on_is_reported_and_asked_again_next_time(tmp_path, options):
    class Moody(StubCaptioner):
        def __call__(self, images):
            if any(image.width == 7 for image in images):
                raise RuntimeError("seven!")
            return super().__call__(images)

    rows = [{**POST, "image": saved_image(tmp_path, f"{i}.png", 10 * i, (5 + i, 8))} for i in range(5)]
    done = prepare(posts(*rows), tmp_path / "out", Moody(), **options)
    assert [(fault.row, fault.kind, fault.reason) for fault in done.faults] == [(2, "caption", "RuntimeError: seven!")]
    assert [row["caption"] is None for row in done.dataset["train"]] == [False, False, True, False, False]
    assert prepare(posts(*rows), tmp_path / "two", StubCaptioner(), **options).captioned == 1

    class Broken(StubCaptioner):
        def __call__(self, images):
            raise MemoryError("no room")

    with pytest.raises(MemoryError):
        prepare(posts(*rows), tmp_path / "three", Broken(size=2), **options)


def test_what_is_there_is_not_overwritten(tmp_path, options):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="out is not empty"):
        prepare(posts(POST), tmp_path / "out", **options)
    with FileLock(tmp_path / "taken.lock"), pytest.raises(FileExistsError, match="Another process is writing .*taken"):
        prepare(posts(POST), tmp_path / "taken", **options)
    with pytest.raises(ValueError, match="'train' has the columns text, head; expected"):
        prepare(posts(POST).remove_columns("tail"), tmp_path / "new", **options)


def test_images_can_be_put_into_the_output(tmp_path, options):
    path = saved_image(tmp_path, "a.png")
    done = prepare(posts({**POST, "image": path}), tmp_path / "out", embed_images=True, **options)
    Path(path).unlink()
    assert load_from_disk(str(tmp_path / "out/dataset"))["train"][0]["image"].size == (12, 8)
    assert done.dataset["train"][0]["image"].size == (12, 8)


# A captioner that takes its time and writes down what it was asked, for runs that are killed.
SCRIPT = """
import hashlib, sys, time
from pathlib import Path
import datasets
from tgdi_hf import prepare
from tgdi_hf.data.loading import read_table
folder, output, cache, log = map(Path, sys.argv[1:5])
datasets.disable_progress_bars()

class Captioner:
    settings = {"model": "slow"}
    def __call__(self, images):
        digests = [hashlib.sha256(image.tobytes()).hexdigest()[:16] for image in images]
        with log.open("a") as file:
            file.write("".join(f"{digest}\\n" for digest in digests))
        time.sleep(float(sys.argv[5]))
        return [f"image {digest}" for digest in digests]

class Grounder:
    settings = {"model": "slow"}
    def __call__(self, images, phrases):
        return [[{"box": [0, 0, 1, 1], "score": 0.5, "phrase": row[0]}] for row in phrases]

table = read_table(folder / "posts.jsonl", cache_dir=folder / "tables")
done = prepare(table, output, Captioner(), Grounder(), cache=cache, image_folder=folder, batch_size=8, progress=False)
print(done.summary())
"""


@pytest.fixture
def many(tmp_path):
    """Makes a folder of posts with distinct images."""

    def make(count):
        folder = tmp_path / "many"
        folder.mkdir()
        (folder / "script.py").write_text(SCRIPT)
        with (folder / "posts.jsonl").open("w") as file:
            for i in range(count):
                Image.new("RGB", (8, 8), (i % 256, i // 256, 7)).save(folder / f"{i}.png")
                text = f"Ann{i} meets Bob at Harvard"
                post = {"id": i, "text": text, "head": f"Ann{i}", "tail": "Bob", "image": f"{i}.png"}
                file.write(json.dumps(post) + "\n")
        return folder

    return make


def command(folder, output, cache, log, seconds=0.0):
    return [sys.executable, str(folder / "script.py"), *map(str, (folder, output, cache, log, seconds))]


def check_after_kills(folder, tmp_path, kills, seconds, seed=0):
    """Kills a run at random moments, and compares what comes of it with a run that nobody disturbs."""
    subprocess.run(command(folder, tmp_path / "calm", tmp_path / "cache-calm", tmp_path / "log-calm"), check=True)
    killed, log, rng = 0, tmp_path / "log", random.Random(seed)
    while not (tmp_path / "killed").exists():
        process = subprocess.Popen(command(folder, tmp_path / "killed", tmp_path / "cache", log, seconds))
        if killed < kills:
            before = log.stat().st_size if log.exists() else 0
            deadline = time.monotonic() + 120
            while (log.stat().st_size if log.exists() else 0) == before and time.monotonic() < deadline:
                time.sleep(0.01)  # it is at work when it is killed
            time.sleep(rng.random() * 8 * seconds)
            killed += 1
            process.send_signal(signal.SIGKILL)
        process.wait()
    assert killed == kills
    assert files(tmp_path / "killed") == files(tmp_path / "calm")
    asked = log.read_text().split()
    assert set(asked) == set((tmp_path / "log-calm").read_text().split())
    # What a model was asked more than once was on its way when a kill came: a batch at most.
    return len(asked) - len(set(asked))


def test_a_killed_run_goes_on_where_it_was(many, tmp_path):
    assert check_after_kills(many(200), tmp_path, kills=2, seconds=0.1) <= 2 * 8


@pytest.mark.slow
def test_twenty_kills_lose_nothing_and_repeat_nothing(many, tmp_path):
    assert check_after_kills(many(2000), tmp_path, kills=20, seconds=0.05) <= 20 * 8


def test_commands_side_by_side_share_a_cache_and_the_work(many, tmp_path):
    folder, log = many(60), tmp_path / "log"
    runs = [
        subprocess.Popen(command(folder, tmp_path / name, tmp_path / "cache", log, 0.1), stdout=subprocess.PIPE)
        for name in ("one", "two")
    ]
    assert [run.wait() for run in runs] == [0, 0]
    assert files(tmp_path / "one") == files(tmp_path / "two")
    asked = log.read_text().split()
    assert len(asked) == len(set(asked)) == 60


@pytest.mark.slow
def test_processes_of_accelerate_share_the_work(many, tmp_path):
    folder, log = many(60), tmp_path / "log"
    launch = "accelerate.commands.launch --multi_gpu --num_processes 2 --num_machines 1"
    launch += " --mixed_precision no --dynamo_backend no"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    script = command(folder, tmp_path / "two", tmp_path / "cache", log, 0.05)[1:]
    subprocess.run([sys.executable, "-m", *launch.split(), *script], check=True, env=environment)
    asked = log.read_text().split()
    assert len(asked) == len(set(asked)) == 60
    subprocess.run(command(folder, tmp_path / "one", tmp_path / "cache-1", tmp_path / "log-1"), check=True)
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_given_boxes_have_to_be_parts_of_an_image_that_is_there(tmp_path, options):
    path, box = saved_image(tmp_path, "a.png"), [0, 0, 5, 5]
    rows = [
        {**POST, "image": path, "objects": [box]},
        {**POST, "image": str(tmp_path / "lost.png"), "objects": [box]},
        {**POST, "image": None, "objects": [box]},
        {**POST, "image": path, "objects": [[0.0, 0.0, 0.5, 0.5]]},
        {**POST, "image": path, "objects": [box, [0, 0, 5]]},
        {**POST, "image": path, "objects": [[90, 90, 95, 95]]},
    ]
    done = prepare(posts(*rows), tmp_path / "out", **options)
    assert done.dataset["train"]["objects"][:] == [[box], [], [], [], [], []]
    assert done.dataset["train"]["objects_by"][:] == ["given"] + [None] * 5
    reasons = {fault.row: fault.reason for fault in done.faults if fault.kind == "objects"}
    assert reasons.keys() == {1, 2, 3, 4, 5} and all(fault.kept for fault in done.faults)
    assert "without a usable image" in reasons[1] and "fractions" in reasons[3] and "four finite numbers" in reasons[4]
    assert "no pixel" in reasons[5]
    processor = TGDIProcessor(tiny_image_processor(), tiny_tokenizer([TEXT]))
    inputs = TGDICollator(processor)(list(undecoded(done.dataset["train"])))
    assert inputs["image_mask"].sum() == 5  # four images, a box: nothing is refused


def test_a_file_that_can_not_be_read_now_is_asked_again_next_time(tmp_path, options, monkeypatch):
    table = posts({**POST, "image": saved_image(tmp_path, "a.png")})
    with monkeypatch.context() as patch:
        error = OSError(errno.EMFILE, "Too many open files")
        patch.setattr(Image, "open", lambda *of: (_ for _ in ()).throw(error))
        done = prepare(table, tmp_path / "one", StubCaptioner(), **options)
    assert done.dataset["train"][0]["image"] is None and done.dataset["train"][0]["caption"] is None
    (fault,) = done.faults
    assert (fault.kind, fault.kept) == ("image", True) and "Too many open files" in fault.reason
    done = prepare(table, tmp_path / "two", StubCaptioner(), **options)
    assert done.faults == [] and done.dataset["train"][0]["caption"] == "12 by 8, 100.0"


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_objects_are_boxes_or_paths_in_files_of_any_kind(form, tmp_path, options):
    for name in ("a.png", "b.png"):
        saved_image(tmp_path, name)

    def table(*objects):
        rows = [{"text": TEXT, "head": "JFK", "tail": "Obama", "image": "a.png", "objects": each} for each in objects]
        if form == "jsonl":
            (tmp_path / "posts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        else:
            for row in rows:
                row["objects"] = json.dumps(row["objects"]) if isinstance(row["objects"], list) else row["objects"]
            with (tmp_path / "posts.csv").open("w", newline="") as file:
                writer = csv.DictWriter(file, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
        return read_table(tmp_path / f"posts.{form}", cache_dir=tmp_path / "read")

    options = {**options, "image_folder": tmp_path}
    crops = table(["b.png"], None, ["lost.png"])
    done = prepare(crops, tmp_path / "crops", **options)
    found = undecoded(done.dataset["train"])["objects"][:]
    assert [[part["path"] for part in parts or ()] for parts in found] == [[str(tmp_path / "b.png")], [], []]
    (fault,) = done.faults
    assert (fault.row, fault.kind) == (2, "objects") and "no such file" in fault.reason
    with pytest.raises(ValueError, match="image crops, which cannot be mixed"):
        prepare(crops, tmp_path / "no", grounder=StubGrounder(), **options)
    done = prepare(table([[0, 0, 4, 4]], None), tmp_path / "boxes", **options)
    assert [parts or [] for parts in done.dataset["train"]["objects"][:]] == [[[0, 0, 4, 4]], []]
    assert done.faults == []
    if form == "csv":  # a column of JSON Lines has one type
        mixed = table([[0, 0, 4, 4]], ["b.png"], [["a", 0, 4, 4]], "[")
        done = prepare(mixed, tmp_path / "mixed", **options)
        assert [(fault.row, fault.kind) for fault in done.faults] == [(1, "objects"), (2, "objects"), (3, "objects")]


def test_a_table_says_none_and_na_where_it_means_them(tmp_path):
    (tmp_path / "train.csv").write_text("text,head,tail,relation,image\nNA meets Ann,NA,Ann,None,\n")
    row = read_table(tmp_path, cache_dir=tmp_path / "read")["train"][0]
    assert (row["head"], row["relation"], row["image"]) == ("NA", "None", None)


@pytest.mark.parametrize(
    ("captioned", "grounded", "said"),
    [
        (None, None, "no captions or objects requested."),
        (3, None, "3 captions computed, all others given or cached."),
        (None, 0, "0 object detections computed, all others given or cached."),
        (1000, 2, "1,000 captions and 2 object detections computed, all others given or cached."),
    ],
)
def test_the_summary_is_about_what_was_asked_for(captioned, grounded, said):
    done = Preparation(DatasetDict(), [], rows=5, images=4, captioned=captioned, grounded=grounded)
    assert done.summary() == f"5 posts, 4 distinct images; {said}"


def test_without_models_nothing_is_counted(tmp_path, options):
    done = prepare(posts({**POST, "image": saved_image(tmp_path, "a.png")}), tmp_path / "out", **options)
    assert (done.captioned, done.grounded) == (None, None)

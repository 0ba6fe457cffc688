import io
import json
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset, load_dataset, load_from_disk
from filelock import FileLock
from PIL import Image

from tgdi_hf import prepare
from tgdi_hf.data.loading import read_table
from tgdi_hf.preparation.result_cache import ResultCache
from tgdi_hf.preparation.scan import READ

from .preparation_stubs import POST, StubCaptioner, StubGrounder, files, posts, saved_image


def test_posts_get_captions_and_objects_and_the_keys_of_the_models(tmp_path, options):
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
    settings = json.loads((tmp_path / "out" / "prepared.json").read_text())
    assert first["caption_by"] == settings["caption"]["key"]
    assert first["objects_by"] == settings["objects"]["key"]
    assert settings["caption"]["model"] == "stub"
    # The output loads with the functions of `datasets`.
    assert load_from_disk(str(tmp_path / "out" / "dataset"))["train"][0]["caption"] == first["caption"]
    parquet = load_dataset("parquet", data_files=str(tmp_path / "out/parquet/train.parquet"), cache_dir=tmp_path / "hf")
    assert parquet["train"][0]["objects"] == first["objects"]
    assert not [*tmp_path.glob("out.*")]


def test_each_distinct_image_is_processed_once_under_any_name(tmp_path, options):
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
    # A second run computes nothing; a model with other settings computes everything again.
    again = prepare(table, tmp_path / "two", captioner, grounder, **options)
    assert (again.captioned, again.grounded) == (0, 0)
    assert captioner.batches == [2]
    other = prepare(table, tmp_path / "three", StubCaptioner(prompt="a photo"), grounder, **options)
    assert (other.captioned, other.grounded) == (2, 0)
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_relation_labels_do_not_change_a_byte(tmp_path, options):
    """The published object crops of MNRE were detected with phrases made from the relation label."""
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
    # Without this column all output files are equal to the last byte.
    for name, given in (("c", rows), ("d", permuted)):
        prepare(posts(*given).remove_columns("relation"), tmp_path / name, StubCaptioner(), StubGrounder(), **options)
    assert files(tmp_path / "c") == files(tmp_path / "d")


def unusable_images(folder):
    """Image paths that cannot be used, and the expected reason for each."""
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


def test_unusable_images_are_reported_and_do_not_stop_the_run(tmp_path, options):
    bad = unusable_images(tmp_path)
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
    # The next run reports the same images without opening them.
    again = prepare(posts(*rows), tmp_path / "two", StubCaptioner(), StubGrounder(), image_folder=tmp_path, **options)
    assert files(tmp_path / "out") == files(tmp_path / "two")
    assert again.captioned == 0


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


def test_existing_output_is_not_overwritten(tmp_path, options):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("existing")
    with pytest.raises(FileExistsError, match="out is not empty"):
        prepare(posts(POST), tmp_path / "out", **options)
    with FileLock(tmp_path / "taken.lock"), pytest.raises(FileExistsError, match="Another process is writing .*taken"):
        prepare(posts(POST), tmp_path / "taken", **options)
    with pytest.raises(ValueError, match="'train' has the columns text, head; expected"):
        prepare(posts(POST).remove_columns("tail"), tmp_path / "new", **options)


def test_a_table_reads_none_and_na_as_text(tmp_path):
    (tmp_path / "train.csv").write_text("text,head,tail,relation,image\nNA meets Ann,NA,Ann,None,\n")
    row = read_table(tmp_path, cache_dir=tmp_path / "read")["train"][0]
    assert (row["head"], row["relation"], row["image"]) == ("NA", "None", None)


def test_without_models_no_results_are_counted(tmp_path, options):
    done = prepare(posts({**POST, "image": saved_image(tmp_path, "a.png")}), tmp_path / "out", **options)
    assert (done.captioned, done.grounded) == (None, None)

import copy
import multiprocessing
import os
import pickle
import subprocess
import sys
from functools import partial

import pytest
import torch
from datasets import Dataset
from datasets.fingerprint import Hasher
from PIL import Image

from tgdi_hf.data.collator import TGDICollator
from tgdi_hf.processing.processing_tgdi import TGDIProcessor

from .conftest import TOKENIZERS, build, image_processor

FAST = ["wordpiece", "byte_level", "sentence_piece"]
POST = dict(text="JFK and Obama at Harvard", head=(0, 3), tail=(17, 24), images=Image.new("RGB", (20, 10), "red"))
ROWS = [{"text": "Ann meets Bob", "head": [0, 3], "tail": [10, 13]}] * 3


def encode(row, processor):
    return processor(text=row["text"], head=row["head"], tail=row["tail"], return_tensors="np")


def encode_in_another_process(pickled):
    return pickle.loads(pickled)(**POST)["input_ids"].tolist()


@pytest.fixture(params=FAST)
def folder(request, tmp_path):
    build(request.param, max_length=40).save_pretrained(tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


def test_processors_of_one_checkpoint_have_equal_hashes(folder, tmp_path, monkeypatch):
    processor = TGDIProcessor.from_pretrained(folder)
    expected = Hasher.hash(processor)
    others = {"again": TGDIProcessor.from_pretrained(str(folder))}
    others["options of loading"] = TGDIProcessor.from_pretrained(
        folder, local_files_only=True, token="hf_x", cache_dir=tmp_path / "cache"
    )
    others["deep copy"] = copy.deepcopy(processor)
    others["copy"] = copy.copy(processor)
    others["pickle"] = pickle.loads(pickle.dumps(processor))
    others["pickle of a pickle"] = pickle.loads(pickle.dumps(others["pickle"]))
    processor.save_pretrained(tmp_path / "saved")
    others["saved and loaded"] = TGDIProcessor.from_pretrained(tmp_path / "saved")
    monkeypatch.chdir(tmp_path)
    others["relative path"] = TGDIProcessor.from_pretrained("checkpoint")
    assert {name: Hasher.hash(other) for name, other in others.items()} == dict.fromkeys(others, expected)
    assert Hasher.hash(TGDICollator(others["again"])) == Hasher.hash(TGDICollator(processor))


def use(processor, folder):
    processor(**POST)
    processor(**POST, do_normalize=False, max_length=12, return_tensors="np")
    processor.tokenizer(["a b", "c"], padding=True, truncation=True, max_length=6)
    processor.tokenizer("JFK <s> [SEP]", split_special_tokens=True)
    processor.tokenizer("a " * 600)  # warns once, and remembers that
    processor.image_processor(POST["images"])
    processor.decode([1, 2])
    processor.save_pretrained(folder)
    repr(processor)


def test_use_does_not_change_the_hash(folder, tmp_path):
    used, unused = TGDIProcessor.from_pretrained(folder), TGDIProcessor.from_pretrained(folder)
    collate = TGDICollator(used)
    before = Hasher.hash(used), Hasher.hash(collate)
    assert pickle.dumps(used) == pickle.dumps(used)
    use(used, tmp_path / "saved")
    collate(ROWS)
    assert (
        (Hasher.hash(used), Hasher.hash(collate)) == before == (Hasher.hash(unused), Hasher.hash(TGDICollator(unused)))
    )
    for make in (lambda one: partial(encode, processor=one), lambda one: lambda row: encode(row, one), lambda one: one):
        assert Hasher.hash(make(used)) == Hasher.hash(make(unused))


def test_use_does_not_change_the_hash_of_an_unsaved_processor(tmp_path):
    for kind in TOKENIZERS:
        processor = build(kind)
        before = Hasher.hash(processor)
        use(processor, tmp_path / kind)
        assert Hasher.hash(processor) == before, kind


def test_different_processors_have_different_hashes(processor):
    others = {
        "num_objects": build(num_objects=2),
        "use_caption": build(use_caption=False),
        "use_image": build(use_image=False),
        "max_length": build(max_length=40),
        "max_image_pixels": build(max_image_pixels=100),
        "vocabulary": build("byte_level"),
        "image size": TGDIProcessor(type(image_processor())(size={"height": 8, "width": 8}), build().tokenizer),
        "image mean": TGDIProcessor(type(image_processor())(image_mean=[0.1, 0.5, 0.5]), build().tokenizer),
        "added token": build(),
        "attribute": build(),
        "limit of the tokenizer": build(),
        "share_images": TGDICollator(build(), share_images=False),
        "collator": TGDICollator(build()),
    }
    others["added token"].tokenizer.add_tokens(["xyzzy"])
    others["attribute"].num_objects = 1
    others["limit of the tokenizer"].tokenizer.model_max_length = 30
    hashes = [Hasher.hash(build()), *map(Hasher.hash, others.values())]
    assert len(set(hashes)) == len(hashes)
    assert hashes[0] == Hasher.hash(processor)


@pytest.mark.slow  # starts processes
def test_hashes_are_equal_in_all_processes(tmp_path):
    """The hashes of strings and the order of sets differ between processes."""
    build().save_pretrained(tmp_path / "wordpiece")
    build("sentence_piece").save_pretrained(tmp_path / "sentence_piece")
    code = """
import sys
from datasets import Dataset
from datasets.fingerprint import Hasher
from functools import partial
from tgdi_hf import TGDICollator, TGDIProcessor

def encode(row, processor):
    return processor(text=row["text"], head=row["head"], tail=row["tail"], return_tensors="np")

row = {"text": "Ann meets Bob", "head": (0, 3), "tail": (10, 13)}
for name in ("wordpiece", "sentence_piece"):
    processor = TGDIProcessor.from_pretrained(f"{sys.argv[1]}/{name}")
    if sys.argv[2] == "used":
        encode(row, processor)
        processor.tokenizer(["a b", "c"], padding=True)
    function = lambda row: encode(row, processor)
    for one in (processor, TGDICollator(processor), partial(encode, processor=processor), function):
        print(Hasher.hash(one))
"""
    found = [
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path), how],
            capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for how, seed in (("used", "1"), ("new", "2"))
    ]  # fmt: skip
    assert found[0] == found[1]
    assert len(set(found[0].split())) == 8


def test_map_reuses_its_cache(folder, tmp_path):
    Dataset.from_list(ROWS).save_to_disk(tmp_path / "data")

    def mapped(how):
        dataset, processor = Dataset.load_from_disk(str(tmp_path / "data")), TGDIProcessor.from_pretrained(folder)
        result = dataset.map(how(processor), remove_columns=dataset.column_names)
        return result.cache_files, len(list((tmp_path / "data").glob("cache-*.arrow")))

    ways = [
        lambda processor: partial(encode, processor=processor),
        lambda processor: lambda row: encode(row, processor),
    ]
    for number, way in enumerate(ways, start=1):
        first, second = mapped(way), mapped(way)
        assert first == second
        assert first[1] == number


def test_pickles_give_the_same_tensors(folder):
    processor = TGDIProcessor.from_pretrained(folder)
    processor.tokenizer("a b", padding="max_length", truncation=True, max_length=7)
    other = pickle.loads(pickle.dumps(processor))
    expected = processor(**POST, caption="<s> two men")
    assert all(torch.equal(value, expected[name]) for name, value in other(**POST, caption="<s> two men").items())
    assert other.tokenizer("a b")["input_ids"] == processor.tokenizer("a b")["input_ids"]
    assert type(other.tokenizer) is type(processor.tokenizer)
    assert processor.tokenizer.backend_tokenizer.padding is None  # of the last call, which did not pad


def test_an_unpickled_processor_can_be_saved(folder, tmp_path):
    pickle.loads(pickle.dumps(TGDIProcessor.from_pretrained(folder))).save_pretrained(tmp_path / "again")
    again = TGDIProcessor.from_pretrained(tmp_path / "again")
    assert Hasher.hash(again) == Hasher.hash(TGDIProcessor.from_pretrained(folder))


def test_a_copy_shares_its_tokenizer_and_a_deep_copy_does_not(processor):
    assert copy.copy(processor).tokenizer is processor.tokenizer
    deep = copy.deepcopy(processor)
    deep.tokenizer.add_tokens(["xyzzy"])
    assert len(deep.tokenizer) == len(processor.tokenizer) + 1


@pytest.mark.slow  # starts processes
def test_a_spawned_process_can_use_a_processor(processor):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.apply(encode_in_another_process, [pickle.dumps(processor)])
    assert found == processor(**POST)["input_ids"].tolist()

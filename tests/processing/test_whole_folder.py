import json

import pytest
from transformers import pipeline

from tgdi_hf.processing.whole_folder import whole_folder

TASK = "multimodal-relation-extraction"


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def fail(*args, **kwargs):
    raise OSError("No space left on device")


@pytest.mark.parametrize("part", ["model", "processor", "tokenizer"])
@pytest.mark.parametrize("before", [None, {}, {"config.json": "{}", "notes.txt": "mine"}], ids=["new", "empty", "full"])
def test_a_failed_save_leaves_the_folder_unchanged(part, before, pipe, tmp_path, monkeypatch):
    folder = tmp_path / "runs" / "mine"
    for name, text in (before or {}).items():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    if before == {}:
        folder.mkdir(parents=True)
    found = contents(tmp_path)
    failing = {"model": pipe.model, "processor": pipe.processor, "tokenizer": pipe.processor.tokenizer}[part]
    monkeypatch.setattr(type(failing), "save_pretrained", fail)
    with pytest.raises(OSError, match="No space left"):
        pipe.save_pretrained(folder)
    assert contents(tmp_path) == found
    assert folder.exists() == (before is not None)
    assert not list(tmp_path.rglob(".saving*"))


def test_saving_again_replaces_only_the_files_of_the_checkpoint(pipe, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "model.safetensors").write_text("another one's")
    pipe.save_pretrained(tmp_path, max_shard_size="100KB")
    shards = {path.name for path in tmp_path.glob("model*.safetensors*")}
    assert "model.safetensors.index.json" in shards and "model.safetensors" not in shards and len(shards) > 2
    pipe.save_pretrained(tmp_path, variant="fp32")
    assert {path.name for path in tmp_path.glob("model*.safetensors*")} == {*shards, "model.fp32.safetensors"}
    pipe.save_pretrained(tmp_path)
    left = {"model.safetensors", "model.fp32.safetensors"}
    assert {path.name for path in tmp_path.glob("model*.safetensors*")} == left
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / "runs" / "model.safetensors").read_text() == "another one's"
    pipeline(TASK, model=str(tmp_path))


@pytest.mark.parametrize("name", ["new", "deep/er/new", "link"])
def test_saving_to_new_nested_and_linked_folders(name, pipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there")
    pipe.save_pretrained(name)
    assert (tmp_path / "link").is_symlink()
    assert json.loads((tmp_path / name / "config.json").read_text())["model_type"] == "tgdi"
    assert (tmp_path / name).stat().st_mode == (tmp_path / "there").stat().st_mode
    pipeline(TASK, model=name)


def test_the_parent_of_an_existing_folder_is_not_modified(tmp_path):
    """It may be read-only or on another file system, as for the mount point of a volume."""
    folder = tmp_path / "volume"
    folder.mkdir()
    with whole_folder(folder) as new:
        assert new.is_relative_to(folder)
        assert [path.name for path in tmp_path.iterdir()] == ["volume"]


def test_a_file_is_rejected_as_a_folder(pipe, tmp_path):
    (tmp_path / "model").write_text("x")
    with pytest.raises(NotADirectoryError, match=r"model is a file; expected a folder"):
        pipe.save_pretrained(tmp_path / "model")
    with pytest.raises(TypeError, match="`repo_id`, `private` would have no effect: pass `push_to_hub=True`"):
        pipe.save_pretrained(tmp_path / "new", repo_id="me/tiny", private=True)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_the_configuration_is_written_last(tmp_path):
    (tmp_path / "config.json").write_text("old")
    (tmp_path / "a").mkdir()  # blocks a file of the same name
    with pytest.raises(OSError), whole_folder(tmp_path) as new:  # noqa: PT012
        (new / "config.json").write_text("new")
        (new / "a").write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == [
        "a"
    ]  # without a configuration it cannot be loaded as a checkpoint

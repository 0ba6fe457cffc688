from huggingface_hub import ResolvedRevision

from tgdi_hf.preparation import model_revision as module
from tgdi_hf.preparation.model_revision import model_revision


def test_a_folder_goes_by_what_is_in_it(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(b"weights")
    to_load, recorded = model_revision(str(one))
    assert to_load is None
    assert recorded.startswith("sha256:")
    assert model_revision(str(two))[1] == recorded
    (two / "runs.log").write_text("no part of the model")
    assert model_revision(str(two))[1] == recorded
    (two / "model.safetensors").write_bytes(b"other weights")
    assert model_revision(str(two))[1] != recorded


def test_a_model_on_the_hub_goes_by_its_commit(monkeypatch):
    asked = []

    def resolve(name, revision, **hub):
        asked.append((name, revision, hub))
        return ResolvedRevision(initial=revision, resolved="607a30d7", repo_id=name, repo_type="model")

    monkeypatch.setattr(module, "resolve_revision", resolve)
    to_load, recorded = model_revision("some/model", "v1", token="t")
    assert (to_load, recorded) == ("v1", "607a30d7")
    assert asked == [("some/model", "v1", {"token": "t"})]
    # Without a connection what was asked for is all that is known.
    monkeypatch.setattr(module, "resolve_revision", lambda name, revision, **hub: revision)
    assert model_revision("some/model") == (None, "main")

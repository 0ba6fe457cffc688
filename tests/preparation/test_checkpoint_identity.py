import pytest
import torch
from huggingface_hub import ResolvedRevision
from torch import nn

from tgdi_hf.modeling import pretrained_towers
from tgdi_hf.preparation.checkpoint_identity import resolve_checkpoint, weights_digest

COMMIT = "607a30d783dfa663caf39e06633721c8d4cfcd7e"


def test_a_folder_is_identified_by_its_content(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(b"weights")
    options, identity = resolve_checkpoint(one)
    assert options == {}
    assert identity == "sha256:2cb777fb903529c2377657d6c1ce5e02775be267"
    assert resolve_checkpoint(two).identity == identity
    (two / "runs.log").write_text("not a file of the checkpoint")
    assert resolve_checkpoint(two).identity == identity
    (two / "model.safetensors").write_bytes(b"other weights")
    assert resolve_checkpoint(two).identity != identity


def test_a_folder_has_no_revision(tmp_path):
    with pytest.raises(ValueError, match="The revision 'v1' applies to the Hub"):
        resolve_checkpoint(tmp_path, "v1")


def test_a_model_on_the_hub_is_identified_by_its_commit(monkeypatch):
    requests = []

    def resolve(name, revision=None, **hub):
        requests.append((name, revision, hub))
        return ResolvedRevision(initial=revision, resolved=COMMIT, repo_id=name, repo_type="model")

    monkeypatch.setattr(pretrained_towers, "resolve_revision", resolve)
    options, identity = resolve_checkpoint("some/model", "v1", token="t")
    assert (options, identity) == ({"revision": "v1", "token": "t"}, COMMIT)
    assert options["revision"].resolved == COMMIT  # every file is loaded from this commit
    assert requests == [("some/model", "v1", {"token": "t"})]


def test_without_a_connection_a_model_is_identified_by_the_requested_revision(monkeypatch):
    monkeypatch.setattr(pretrained_towers, "resolve_revision", lambda name, revision=None, **hub: revision)
    assert resolve_checkpoint("some/model") == ({}, "main")
    assert resolve_checkpoint("some/model", "v1") == ({"revision": "v1"}, "v1")


def test_weights_are_identified_by_name_and_value():
    one, two = nn.Linear(2, 2), nn.Linear(2, 2)
    two.load_state_dict(one.state_dict())
    assert weights_digest(one) == weights_digest(two)
    with torch.no_grad():
        two.bias.add_(1)
    assert weights_digest(one) != weights_digest(two)
    assert weights_digest(nn.Sequential(one)) != weights_digest(one)

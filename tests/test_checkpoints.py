import json
import re
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoTokenizer
from typer.testing import CliRunner

from tgdi_hf import TGDIForRelationExtraction, TGDIProcessor
from tgdi_hf.checkpoints import check_checkpoint, hub_access, near_path
from tgdi_hf.cli.main import app
from tgdi_hf.cli.pipelines import load_pipeline
from tgdi_hf.evaluation.checkpoint_loading import load_for_evaluation
from tgdi_hf.preparation.checkpoint_identity import resolve_checkpoint
from tgdi_hf.preparation.vision_features import compute_encoder_features
from tgdi_hf.training.build import build_model
from tgdi_hf.training.fine_tuning import fine_tune
from tgdi_hf.training.run_record import claim

from .hub.hub_server import Hub
from .hub.test_upload import run as run_with_hub

NAMES = ["None", "friend of"]
TEXT, VISION = "some/text", "some/vision"


def files_of(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def publish(hub, repo, folder, other):
    """Publishes `folder` as the commit `v1`, and `other` as the present commit of `main`."""
    first = hub.add(repo, "main", "one", files_of(folder))
    hub.repositories[repo]["v1"] = [first]
    return first.oid, hub.add(repo, "main", "two", files_of(other)).oid


@pytest.fixture
def later(encoders, tmp_path):
    """Later versions of the two encoders: other weights, a larger vocabulary, another normalisation of images."""
    text, vision = (Path(shutil.copytree(folder, tmp_path / Path(folder).name)) for folder in encoders)
    for folder in (text, vision):
        weights = load_file(folder / "model.safetensors")
        save_file({name: value + 1 for name, value in weights.items()}, folder / "model.safetensors", {"format": "pt"})
    tokenizer = AutoTokenizer.from_pretrained(text)
    tokenizer.add_tokens(["xyzzy"])
    tokenizer.save_pretrained(text)
    image_processor = AutoImageProcessor.from_pretrained(vision, backend="pil")
    image_processor.image_mean = [0.25, 0.25, 0.25]
    image_processor.save_pretrained(vision)
    return text, vision


LOAD = """
import json, sys
from tgdi_hf.training.build import build_model

def show(model, processor):
    state = model.state_dict()
    text = next(v for k, v in state.items() if "text_encoder.encoder.layer.0" in k and k.endswith("weight"))
    print(json.dumps({
        "revisions": [model.config.text_revision, model.config.vision_revision],
        "names": [model.config.text_config._name_or_path, model.config.vision_config._name_or_path],
        "text": float(text.mean()),
        "vision": float(next(v for k, v in state.items() if "vision_tower" in k and "patch" in k).mean()),
        "vocabulary": "xyzzy" in processor.tokenizer.get_vocab(),
        "mean": list(processor.image_processor.image_mean),
    }))

for options in json.loads(sys.argv[1]):
    show(*build_model(["None", "friend of"], "me/text", "me/vision", **options))
"""


@pytest.mark.slow  # loads four models in a separate process
def test_a_revision_is_loaded_from_the_hub_and_recorded(encoders, later, tmp_path):
    """Over HTTP, from a small Hub with two commits; then from the cache only."""
    with Hub() as hub:
        commits = [publish(hub, f"me/{Path(old).name}", old, new) for old, new in zip(encoders, later)]
        (old_text, new_text), (old_vision, new_vision) = commits
        (tmp_path / "home").mkdir()
        options = [
            {},
            {"text_revision": old_text, "vision_revision": "v1"},
            {"text_revision": "v1", "cache_dir": str(tmp_path / "cache")},
            {"text_revision": "v1", "cache_dir": str(tmp_path / "cache"), "local_files_only": True},
        ]
        where = {"home": tmp_path / "home", "endpoint": hub.url}
        newest, oldest, here, there = map(
            json.loads, run_with_hub(LOAD, json.dumps(options), **where).splitlines()[-4:]
        )
    assert newest["revisions"] == [new_text, new_vision]
    assert oldest["revisions"] == [old_text, old_vision]
    assert here["revisions"] == [old_text, new_vision]
    assert (newest["vocabulary"], oldest["vocabulary"], here["vocabulary"]) == (True, False, False)
    assert [one["mean"] == [0.25] * 3 for one in (newest, oldest, here)] == [True, False, True]
    assert [round(newest[part] - oldest[part], 3) for part in ("text", "vision")] == [1, 1]
    assert (here["text"], here["vision"]) == (oldest["text"], newest["vision"])
    assert newest["names"] == ["me/text", "me/vision"]
    assert here == there
    assert (tmp_path / "cache" / "models--me--text").is_dir()


@pytest.fixture
def loads(encoders, monkeypatch):
    """Records the loads of two names on the Hub, which stand for local folders: `(loader, name, Hub options)`."""
    folders, calls = dict(zip((TEXT, VISION), encoders)), []
    for loader in (AutoConfig, AutoImageProcessor, AutoModel, AutoTokenizer):

        def from_pretrained(name, *args, loader=loader, original=loader.from_pretrained, **kwargs):
            hub = {
                key: kwargs.pop(key) for key in ("revision", "token", "cache_dir", "local_files_only") if key in kwargs
            }
            if name in folders:
                calls.append((loader.__name__, name, hub))
            return original(folders.get(name, name), *args, **kwargs)

        monkeypatch.setattr(loader, "from_pretrained", from_pretrained)
    return calls


def test_the_options_reach_every_load(loads):
    shared = {"token": "hf_secret", "cache_dir": "cache", "local_files_only": True}
    model, processor = build_model(NAMES, TEXT, VISION, text_revision="v1", vision_revision="v2", **shared)
    expected = {TEXT: {"revision": "v1", **shared}, VISION: {"revision": "v2", **shared}}
    assert all(hub == expected[name] for _, name, hub in loads), loads
    assert {(loader, name) for loader, name, _ in loads} == {
        *[(loader, TEXT) for loader in ("AutoTokenizer", "AutoConfig", "AutoModel")],
        *[(loader, VISION) for loader in ("AutoImageProcessor", "AutoConfig", "AutoModel")],
    }
    assert "hf_secret" not in model.config.to_json_string() + processor.to_json_string()
    # Offline a branch can't be resolved to a commit, so nothing is recorded.
    assert (model.config.text_revision, model.config.vision_revision) == (None, None)


def test_processor_and_model_take_the_same_options(loads):
    loading = {"text_kwargs": {"revision": "v1", "token": "t"}, "vision_kwargs": {"revision": "v2", "cache_dir": "c"}}
    processor = TGDIProcessor.from_text_vision_pretrained(TEXT, VISION, **loading, num_objects=2)
    assert processor.num_objects == 2
    TGDIForRelationExtraction.from_text_vision_pretrained(TEXT, VISION, processor.tokenizer, **loading)
    expected = {TEXT: loading["text_kwargs"], VISION: loading["vision_kwargs"]}
    assert len(loads) >= 7
    assert all(hub == expected[name] for _, name, hub in loads), loads


def test_a_commit_is_recorded_and_survives_saving(loads, tmp_path):
    commit = "0123456789" * 4
    model, _ = build_model(NAMES, TEXT, VISION, text_revision=commit)
    assert (model.config.text_revision, model.config.vision_revision) == (commit, None)
    model.save_pretrained(tmp_path)
    again = TGDIForRelationExtraction.from_pretrained(tmp_path)
    assert (again.config.text_revision, again.config.vision_revision) == (commit, None)


def test_a_revision_of_an_encoder_folder_is_refused(encoders, corpus, tmp_path):
    for options in ({"text_revision": "v1"}, {"vision_revision": "v1"}):
        with pytest.raises(ValueError, match="The revision 'v1' applies to the Hub, but .* is a folder"):
            build_model(NAMES, *encoders, **options)
        with pytest.raises(ValueError, match="The revision 'v1' applies to the Hub, but .* is a folder"):
            fine_tune(corpus, tmp_path / "run", *encoders, **options)
    with pytest.raises(ValueError, match="is a folder"):
        compute_encoder_features(encoders[1], corpus, tmp_path / "features", revision="v1")
    assert hub_access(encoders[0], cache_dir="c", token=False) == ({"cache_dir": "c", "token": False}, None)
    assert build_model(NAMES, *encoders)[0].config.text_revision is None
    with pytest.raises(ValueError, match=r"pass `text_kwargs=\{'revision': 'v1'\}`"):
        TGDIForRelationExtraction.from_text_vision_pretrained(*encoders, None, text_revision="v1")


def test_features_are_computed_by_the_revision(loads, corpus, tmp_path):
    rows = {"train": corpus["train"].select(range(4))}
    compute_encoder_features(VISION, rows, tmp_path / "features", revision="v2", token="t", cache_dir="c")
    assert {loader for loader, *_ in loads} == {"AutoConfig", "AutoModel", "AutoImageProcessor"}
    assert all(hub == {"revision": "v2", "token": "t", "cache_dir": "c"} for *_, hub in loads)


def test_the_revisions_identify_a_run(corpus, loads, tmp_path):
    corpus = type(corpus)({split: rows.select(range(8)) for split, rows in corpus.items()})
    options = {"num_train_epochs": 1, "report_to": "none", "dataloader_num_workers": 0, "disable_tqdm": True}
    fine_tune(corpus, tmp_path / "run", TEXT, VISION, text_revision="v1", token="hf_secret", **options)
    text = (tmp_path / "run" / "run.json").read_text()
    identity = json.loads(text)
    assert (identity["text_revision"], identity["vision_revision"]) == ("v1", None)
    assert "hf_secret" not in "".join(path.read_text() for path in (tmp_path / "run").rglob("*.json"))
    with pytest.raises(ValueError, match="checkpoints of a run with another text_revision"):
        fine_tune(corpus, tmp_path / "run", TEXT, VISION, text_revision="v2", **options)
    with pytest.raises(ValueError, match="`model_options` has token; pass it as an argument of `fine_tune`"):
        fine_tune(corpus, tmp_path / "run", TEXT, VISION, model_options={"token": "hf_secret"}, **options)
    # A run begun by an older version has no record of revisions.
    claim(tmp_path / "run", {**identity, "text_revision": "v1", "something_new": None})


def test_revisions_on_the_command_line(corpus, loads, tmp_path):
    small = type(corpus)({split: rows.select(range(8)) for split, rows in corpus.items()})
    small.save_to_disk(tmp_path / "data")
    arguments = [
        "train", tmp_path / "data", tmp_path / "run", "--text-model", TEXT, "--vision-model", VISION, "--epochs", 1,
        "--text-revision", "v1", "--vision-revision", "v2", "--cache-dir", tmp_path / "cache", "--local-files-only",
    ]  # fmt: skip
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output + str(result.exception)
    expected = {"cache_dir": tmp_path / "cache", "local_files_only": True}
    for name, revision in ((TEXT, "v1"), (VISION, "v2")):
        found = [hub for _, loaded, hub in loads if loaded == name]
        assert len(found) >= 3 and all(hub == {"revision": revision, **expected} for hub in found)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["vision_revision"] == "v2"


def test_revisions_of_captioner_and_grounder(corpus, monkeypatch, tmp_path):
    loaded = {}

    class Stop(Exception):
        pass

    def load(cls, name, revision=None, hub=None, **_):
        loaded[cls.__name__] = name, revision, hub
        if len(loaded) == 2:
            raise Stop

    for cls in ("image_captioner.ImageCaptioner", "object_grounder.ObjectGrounder"):
        monkeypatch.setattr(f"tgdi_hf.preparation.{cls}.from_pretrained", classmethod(load))
    (tmp_path / "posts.jsonl").write_text(json.dumps({"text": "a b", "head": [0, 1], "tail": [2, 3]}) + "\n")
    arguments = ["prepare", str(tmp_path / "posts.jsonl"), str(tmp_path / "out")]
    more = ["--captioner-revision", "c1", "--grounder-revision", "g1", "--local-files-only"]
    assert isinstance(CliRunner().invoke(app, [*arguments, *more]).exception, Stop)
    hub = {"cache_dir": None, "local_files_only": True}
    assert loaded["ImageCaptioner"] == ("Salesforce/blip2-opt-2.7b", "c1", hub)
    assert loaded["ObjectGrounder"] == ("IDEA-Research/grounding-dino-tiny", "g1", hub)
    for wrong, option in (
        (["--vision-revision", "v1"], "--vision-model"),
        (["--captioner", "none", "--captioner-revision", "v1"], "--captioner"),
    ):
        assert f"requires {option}" in refusal_of([*arguments, *wrong])
    of_a_folder = [*arguments, "--grounder", str(tmp_path), "--grounder-revision", "v1"]
    assert "a folder has no revisions" in refusal_of(of_a_folder)


def refusal_of(arguments):
    """The error message of a refused command, without the box that wraps its lines."""
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    return " ".join(result.output.replace("│", "").split())


def test_no_command_has_an_option_for_the_token():
    for command in ("train", "prepare"):
        output = CliRunner().invoke(app, [command, "--help"]).output
        assert "--token" not in output


def test_a_revision_of_a_checkpoint_folder_is_refused(checkpoint, corpus):
    message = f"The revision 'v1' applies to the Hub, but .*{checkpoint.name} is a folder"
    for refused in (
        lambda: hub_access(checkpoint, "v1"),
        lambda: check_checkpoint(str(checkpoint), "v1"),
        lambda: load_for_evaluation(checkpoint, corpus["test"], revision="v1"),
        lambda: resolve_checkpoint(str(checkpoint), "v1"),
    ):
        with pytest.raises(ValueError, match=message):
            refused()
    check_checkpoint(str(checkpoint))
    check_checkpoint("me/model", "v1")


def test_a_misspelt_folder_is_named_before_the_hub_is_asked(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "demo").mkdir(parents=True)
    (tmp_path / "runs" / "demos.json").touch()
    for name, hint in (("runs/dem", " Did you mean runs/demo?"), ("run", " Did you mean runs?"), ("runs/other", "")):
        caplog.clear()
        with pytest.raises(ValueError, match=f"^{name}: no such folder, and no model .*{re.escape(hint)}$"):
            load_pipeline(name, bf16=False)
        expected = f"{name} is not a folder, so it is looked up on the Hub.{hint}"
        assert [record.getMessage() for record in caplog.records] == [expected]
    caplog.clear()
    with pytest.raises(ValueError, match=r"^someone/dem: no such folder, and no model .*\)\.$"):
        load_pipeline("someone/dem", bf16=False)
    assert not caplog.records  # it looks like no folder here
    with pytest.raises(ValueError, match=r"\./runs/dem: no such folder; .* Did you mean runs/demo\?"):
        check_checkpoint("./runs/dem")


def test_evaluation_names_a_checkpoint_that_is_no_folder(corpus, tmp_path):
    with pytest.raises(ValueError, match="^runs/dem: no such folder, and no model of that name could be loaded"):
        load_for_evaluation("runs/dem", corpus["test"])


def test_a_folder_that_may_not_be_listed_has_no_hint(tmp_path, monkeypatch):
    def refuse(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert near_path(tmp_path / "dem") == ""


def test_encoders_that_cannot_be_loaded_are_named_with_their_options(encoders, tmp_path):
    for named, given in (("vision", (encoders[0], VISION)), ("text", (TEXT, VISION))):
        expected = f"^some/{named}: no such folder, .* Pass the folder of a .* as `{named}_model` \\(--{named}-model"
        with pytest.raises(ValueError, match=expected):
            build_model(NAMES, *given, cache_dir=tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        ValueError, match="^Unrecognized model in .*empty"
    ):  # a folder that is no encoder says so itself
        build_model(NAMES, tmp_path / "empty", VISION)

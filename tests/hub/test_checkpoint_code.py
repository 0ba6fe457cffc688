import copy
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import pipeline
from transformers.dynamic_module_utils import get_imports
from transformers.pipelines import PIPELINE_REGISTRY, clean_custom_task

import tgdi_hf
from examples.research.baselines.mtb import MTBForRelationExtraction
from tgdi_hf import TGDIForRelationExtraction
from tgdi_hf.hub.checkpoint_code import ENTRIES, IMPORTS, code_files, write_code
from tgdi_hf.hub.model_card import model_card
from tgdi_hf.hub.upload import save_for_hub
from tgdi_hf.modeling.checkpoint_names import AUTO_MAP, PIPELINE, TASK, auto_map, custom_pipelines
from tgdi_hf.processing import pipeline_tgdi

from .hub_server import TOKEN, Hub

THE_MODEL = AUTO_MAP["AutoModelForSequenceClassification"]
WAYS = Path(__file__).with_name("saving_ways.py")


def run(folder, hub, package, check=(), save=None):
    """Runs `saving_ways` with caches of its own."""
    folder.mkdir()
    job = {"package": package, "check": list(check), "save": save or {}, "out": str(folder / "out")}
    job["result"] = str(folder / "result.json")
    (folder / "job.json").write_text(json.dumps(job))
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(folder / "home"),
        "HF_HUB_OFFLINE": "0",
        "HF_TOKEN": TOKEN,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(WAYS), str(folder / "job.json")],
        env=environment,
        capture_output=True,
        text=True,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    return json.loads(Path(job["result"]).read_text())


def is_complete(files, code, tmp_path):
    """That the files of a checkpoint have the code, all of it, and name nothing else."""
    assert {name: text for name, text in files.items() if name.endswith(".py")} == code
    for name, text in files.items():
        if name.endswith(".json"):
            assert str(tmp_path).encode() not in text, name
            assert b"--" not in text or name == "tokenizer.json", name
    config = json.loads(files["config.json"])
    named = [*config["auto_map"].values(), config["custom_pipelines"]["multimodal-relation-extraction"]["impl"]]
    named += json.loads(files["processor_config.json"])["auto_map"].values()
    for reference in named:
        module, class_name = reference.split(".")
        assert f"class {class_name}" in files[f"{module}.py"].decode()


def name_another_repository(folder, repo):
    """As transformers wrote it that loaded a model from the Hub and saved it, before 5."""
    for name in ("config.json", "processor_config.json", "tokenizer_config.json"):
        text = (folder / name).read_text()
        (folder / name).write_text(re.sub(r'": "(\w+_tgdi\.TGDI\w+")', rf'": "{repo}--\1', text))


@pytest.mark.slow
def test_every_way_of_saving_loads_in_every_way(checkpoint, model, processor, tmp_path):
    """With the package and without it, from a folder and from the Hub; and what was loaded so is saved so again."""
    write_code(tmp_path)
    code = {path.name: path.read_bytes() for path in tmp_path.glob("*.py")}
    assert code.keys() == code_files().keys()
    logits = model(**processor(text="Ann meets Bob", head=(0, 3), tail=(10, 13))).logits[0].tolist()

    def all_good(done, hub):
        for folder in done["folders"]:
            is_complete({path.name: path.read_bytes() for path in Path(folder).iterdir()}, code, tmp_path)
        for repo in done["repos"]:
            is_complete(hub.files(repo), code, tmp_path)
        for place, found in done["checked"].items():
            assert found["logits"] == pytest.approx(logits, abs=1e-4), place

    with Hub() as hub:
        first = run(tmp_path / "first", hub, True, save={"installed": str(checkpoint)})
        all_good(first, hub)
        sources = {"folder": first["folders"][0], "hub": first["repos"][0], "prefixed": str(tmp_path / "prefixed")}
        shutil.copytree(first["folders"][0], sources["prefixed"])
        name_another_repository(tmp_path / "prefixed", first["repos"][0])
        places = [*first["folders"], *first["repos"]]
        second = run(tmp_path / "second", hub, False, check=places, save=sources)
        all_good(second, hub)
        # Nothing that was saved needs where it came from.
        shutil.rmtree(tmp_path / "first")
        shutil.rmtree(tmp_path / "prefixed")
        for repo in first["repos"]:
            del hub.repositories[repo]
        places = [*second["folders"], *second["repos"]]
        third = run(tmp_path / "third", hub, False, check=places, save={"again": second["repos"][-1]})
        all_good(third, hub)
        last = run(tmp_path / "last", hub, True, check=[*places, *third["folders"], *third["repos"]])
        all_good(last, hub)
    assert not (tmp_path / "last" / "home" / "modules").exists()  # the package runs nothing of a checkpoint


def test_a_checkpoint_imports_only_the_dependencies_of_transformers():
    """Before any file of a checkpoint runs, transformers asks for what all of them import outside of `try`."""
    required = {
        "huggingface_hub",
        "numpy",
        "regex",
        "safetensors",
        "tokenizers",
        "torch",
        "tqdm",
        "transformers",
    }
    for path in code_files().values():
        assert set(get_imports(path)) - sys.stdlib_module_names <= required, path


def test_a_checkpoint_carries_exactly_the_files_of_modeling_and_processing(model, processor, tmp_path):
    """Guards the rule that both folders hold only code that travels with a checkpoint."""
    root = Path(__file__).parents[2]
    sources = [path for room in ("modeling", "processing") for path in (root / room).rglob("*.py")]
    folder = save_for_hub(tmp_path / "saved", model, processor, model_card(model, "me/tiny"), handler=True)
    saved = {path.name for path in folder.rglob("*.py")} - {"handler.py"}
    # As a list: two files of the same name in both folders would overwrite each other in the checkpoint.
    assert sorted(saved) == sorted(path.name for path in sources if path.name != "__init__.py")


def test_the_code_is_that_of_the_entries_and_what_they_import(tmp_path):
    write_code(tmp_path)
    written = {path.name for path in tmp_path.iterdir()}
    assert {f"{name}.py" for name in ENTRIES} < written
    assert not {"__init__.py", "image_captioner.py", "object_grounder.py", "model_loading.py"} & written
    imported = set()
    for path in tmp_path.iterdir():
        text = path.read_text()
        assert text.count(IMPORTS) == (path.stem in ENTRIES)
        compile(text, path.name, "exec")
        imported |= {f"{name}.py" for name in re.findall(r"^\s*from \.(\w+) import", text, re.M)}
    assert imported == written
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    write_code(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


SUBCLASS = """
from tgdi_hf import TGDIForRelationExtraction


class Calibrated(TGDIForRelationExtraction):
    pass


Calibrated.register_for_auto_class("AutoModelForSequenceClassification")
"""


def test_a_custom_model_class_saves_its_file(model, tmp_path, monkeypatch):
    (tmp_path / "calibrated.py").write_text(SUBCLASS)
    monkeypatch.syspath_prepend(tmp_path)
    Calibrated = importlib.import_module("calibrated").Calibrated
    Calibrated(model.config).save_pretrained(tmp_path / "own")
    names = json.loads((tmp_path / "own" / "config.json").read_text())["auto_map"]
    assert names["AutoModelForSequenceClassification"] == "calibrated.Calibrated"
    assert names["AutoModel"] == "modeling_tgdi.TGDIModel"
    assert (tmp_path / "own" / "calibrated.py").read_text() == SUBCLASS
    # What is saved from it as a TGDI model again is one.
    TGDIForRelationExtraction.from_pretrained(tmp_path / "own").save_pretrained(tmp_path / "again")
    again = {path.name: path.read_text() for path in (tmp_path / "again").glob("*.[jp][sy]*")}
    assert json.loads(again["config.json"])["auto_map"] == {**names, "AutoModelForSequenceClassification": THE_MODEL}
    assert again.keys() & {"calibrated.py", "pipeline_tgdi.py"} == {"pipeline_tgdi.py"}


def test_another_model_on_the_same_configuration_names_no_pipeline(tmp_path):
    config = MTBForRelationExtraction.config_class(use_vision=False)
    config.save_pretrained(tmp_path)
    assert not {"pipeline_tgdi.py", "modeling_tgdi.py"} & {path.name for path in tmp_path.iterdir()}
    assert "custom_pipelines" not in json.loads((tmp_path / "config.json").read_text())


def test_names_agree_with_the_classes():
    for reference in (*AUTO_MAP.values(), PIPELINE["impl"]):
        module, name = reference.split(".")
        found = getattr(tgdi_hf, name)
        assert found.__module__.endswith(f".{module}")
    registered = PIPELINE_REGISTRY.supported_tasks[TASK]
    assert pipeline_tgdi.TASK == TASK
    assert PIPELINE["pt"] == [auto_class.__name__ for auto_class in registered["pt"]]
    assert PIPELINE["type"] == registered["type"]


def test_transformers_may_modify_the_pipelines_of_remote_code():
    """It puts classes in place of names, and the configuration is saved and printed afterwards."""
    found = custom_pipelines(remote=True)
    clean_custom_task(found[TASK])
    assert json.loads(json.dumps(copy.deepcopy(found))) == {TASK: PIPELINE}


def test_the_task_is_inferred_and_its_class_is_the_registered_one(checkpoint):
    config = json.loads((checkpoint / "config.json").read_text())
    config["custom_pipelines"]["another"] = {"impl": "another.Pipeline", "pt": ["AutoModel"]}
    config["custom_pipelines"][TASK]["impl"] = "evil.Pipeline"
    found = tgdi_hf.TGDIConfig.from_dict(config).custom_pipelines
    assert list(found) == [TASK, "another"] and found[TASK] == PIPELINE
    assert TASK not in found and "another" in found
    for options in ({}, {"trust_remote_code": True}, {"task": TASK}):
        assert type(pipeline(model=str(checkpoint), **options)) is tgdi_hf.MultimodalRelationExtractionPipeline


@pytest.mark.parametrize("file", ["there", "not there"])
@pytest.mark.parametrize("reference", ["modeling_tgdi.TGDIModel", "own.Model", "me/tiny--own.Model"])
def test_references_to_missing_files_are_dropped(file, reference, tmp_path):
    if file == "there":
        (tmp_path / "own.py").touch()
    found = auto_map({"AutoModel": reference, "AutoModelForMaskedLM": reference}, tmp_path)
    if reference == "own.Model" and file == "there":
        assert found == {**AUTO_MAP, "AutoModel": reference, "AutoModelForMaskedLM": reference}
    else:
        assert found == AUTO_MAP

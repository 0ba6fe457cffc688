import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoProcessor, pipeline

import tgdi_hf
from tgdi_hf import TGDICollator, TGDIForRelationExtraction, TGDIModel, TGDIProcessor

ROOT = Path(__file__).parents[1]


def python(code, *arguments, **kwargs):
    command = [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, **kwargs)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_every_public_name_can_be_imported():
    for name in tgdi_hf.__all__:
        assert getattr(tgdi_hf, name) is not None
        assert name in dir(tgdi_hf)
    with pytest.raises(AttributeError, match="no attribute 'TGDIColator'"):
        tgdi_hf.TGDIColator  # noqa: B018


def test_importing_the_package_does_not_load_training_dependencies():
    loaded = python(
        "import sys, tgdi_hf; "
        "print([m for m in ('datasets', 'evaluate', 'tgdi_hf.training.fine_tuning') if m in sys.modules])"
    )
    assert loaded == "[]"


def test_importing_the_package_does_not_load_torch_or_transformers():
    loaded = python(
        "import sys, tgdi_hf, tgdi_hf.cli.main; print([m for m in ('torch', 'transformers') if m in sys.modules])"
    )
    assert loaded == "[]"


@pytest.mark.parametrize(
    "imports",
    [
        "import tgdi_hf, transformers",
        "import transformers, tgdi_hf",
        *(
            pytest.param(imports, marks=pytest.mark.slow)  # each starts Python and imports PyTorch
            for imports in (
                "import tgdi_hf.modeling.modeling_tgdi; import transformers",
                "from transformers import AutoConfig; import tgdi_hf, transformers",
                "import tgdi_hf; tgdi_hf.TGDIConfig; import transformers",
                "import tgdi_hf.processing.post_text; import transformers",
                "import tgdi_hf.inference.prediction; import transformers",
                "import importlib.util, tgdi_hf; importlib.util.find_spec('transformers'); import transformers",
            )
        ),
    ],
)
def test_tgdi_is_registered_in_any_import_order(imports):
    code = (
        "config = transformers.AutoConfig.for_model('tgdi'); from transformers.pipelines import PIPELINE_REGISTRY;"
        "print(type(config).__name__, 'multimodal-relation-extraction' in PIPELINE_REGISTRY.supported_tasks)"
    )
    assert python(f"{imports}; {code}") == "TGDIConfig True"


@pytest.mark.slow  # starts processes
def test_python_started_in_a_checkout_uses_only_that_checkout(tmp_path):
    """Even if another checkout is installed in editable mode, as in the test environment."""
    for folder in ("tgdi_hf", "modeling", "processing", "examples"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "results"))
    code = "from tgdi_hf.modeling import modeling_tgdi as m; from tgdi_hf.processing import post_reader as p"
    files = python(f"{code}; print(m.__file__, p.__file__)", cwd=tmp_path).split()
    assert files == [f"{tmp_path}/modeling/modeling_tgdi.py", f"{tmp_path}/processing/post_reader.py"]
    command = [sys.executable, "-W", "ignore", "-m", "examples.research.reproduce", "--help"]
    assert "usage" in subprocess.run(command, capture_output=True, text=True, cwd=tmp_path).stdout


def test_auto_classes_load_tgdi(checkpoint):
    assert type(AutoConfig.from_pretrained(checkpoint)) is tgdi_hf.TGDIConfig
    assert type(AutoModel.from_pretrained(checkpoint)) is TGDIModel
    assert type(AutoModelForSequenceClassification.from_pretrained(checkpoint)) is TGDIForRelationExtraction
    assert type(AutoProcessor.from_pretrained(checkpoint)) is TGDIProcessor


REMOTE = """
import sys
sys.modules["tgdi_hf"] = None  # a machine without the package
import torch
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoProcessor, pipeline
folder, saved = sys.argv[1:]
options = {"trust_remote_code": True}
config = AutoConfig.from_pretrained(folder, **options)
processor = AutoProcessor.from_pretrained(folder, **options)
model = AutoModelForSequenceClassification.from_pretrained(folder, **options)
body = AutoModel.from_pretrained(folder, **options)
assert type(config).__module__.startswith("transformers_modules.")
inputs = torch.load(saved, weights_only=True)
text = processor(text="Ann meets Bob", head=(0, 3), tail=(10, 13))
assert text["input_ids"].shape[0] == 1
assert torch.equal(body(**inputs).entity_states, model.tgdi(**inputs).entity_states)
torch.save(model(**inputs).logits.detach(), saved + ".logits")
# Only the files of the model have been loaded so far; saving it also copies those of the pipeline.
model.bfloat16().save_pretrained(saved + "-again")
processor.save_pretrained(saved + "-again")
pipe = pipeline(model=saved + "-again", **options)
assert type(pipe).__name__ == "MultimodalRelationExtractionPipeline" and pipe.dtype == torch.bfloat16
repr(pipe.model.config)
pipe.save_pretrained(saved + "-once-more")
post = {"text": "Ann meets Bob", "head": "Ann", "tail": "Bob", "image": "nowhere.jpg"}
assert pipe([post], strict=False)[0]["field"] == "image"
"""


def test_a_checkpoint_includes_its_code(checkpoint, corpus, model, processor, tmp_path):
    """Without the package, loading with `trust_remote_code` gives the same logits."""
    auto_map = json.loads((checkpoint / "config.json").read_text())["auto_map"]
    assert auto_map["AutoConfig"] == "configuration_tgdi.TGDIConfig"
    assert auto_map["AutoModelForSequenceClassification"] == "modeling_tgdi.TGDIForRelationExtraction"
    assert auto_map["AutoModel"] == "modeling_tgdi.TGDIModel"
    inputs = dict(TGDICollator(processor)([corpus["test"][i] for i in range(4)]))
    labels = inputs.pop("labels")
    assert len(labels) == 4
    torch.save(inputs, tmp_path / "inputs.pt")
    environment = {**os.environ, "HF_MODULES_CACHE": str(tmp_path / "modules")}
    python(REMOTE, checkpoint, tmp_path / "inputs.pt", env=environment)
    assert torch.equal(torch.load(tmp_path / "inputs.pt.logits", weights_only=True), model(**inputs).logits)
    for name in ("inputs.pt-again", "inputs.pt-once-more"):
        assert {path.name for path in (tmp_path / name).iterdir()} == {path.name for path in checkpoint.iterdir()}
        for path in checkpoint.glob("*.py"):
            assert (tmp_path / name / path.name).read_bytes() == path.read_bytes(), path
        found = json.loads((tmp_path / name / "config.json").read_text())
        assert found["auto_map"] == auto_map and found["dtype"] == "bfloat16"
    assert pipeline(model=str(tmp_path / "inputs.pt-once-more")).dtype == torch.bfloat16


def test_the_code_of_a_checkpoint_does_not_depend_on_the_package():
    """Copied flat into a checkpoint: single-dot imports, unique file names, and no import of the package."""
    files = [path for folder in ("modeling", "processing") for path in (ROOT / folder).glob("*.py")]
    names = [path.name for path in files if path.name != "__init__.py"]
    assert len(names) == len(set(names))
    for path in files:
        source = path.read_text()
        assert "tgdi_hf" not in re.findall(r"^\s*(?:from|import)\s+([\w.]+)", source, re.M), path
        assert not re.search(r"^\s*from\s+(\.\.|\.\s+import)|from __future__ import annotations", source, re.M), path


def test_modeling_and_processing_are_not_imported_as_top_level_packages():
    """From the repository's root such imports succeed, but create a second copy of every class."""
    for folder in ("tgdi_hf", "modeling", "processing", "examples", "tests"):
        for path in (ROOT / folder).rglob("*.py"):
            assert not re.search(r"^\s*(from|import)\s+(modeling|processing)\b", path.read_text(), re.M), path

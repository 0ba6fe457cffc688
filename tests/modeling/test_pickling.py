"""Models that are pickled, copied, or sent to another process."""

import copy
import io
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from transformers import ResNetConfig

from examples.research.baselines import BaselineConfig, HVPNeTForRelationExtraction, VisualBERTForRelationExtraction
from tgdi_hf import TGDIModel

from .conftest import TEXT_CONFIGS, VISION_CONFIGS, prefixed_with, tiny_config, tiny_inputs, tiny_model

ROOT = str(Path(__file__).parents[2])
# A process that has built no model lacks what transformers registers while building one.
LOAD = """
import pickle, sys
import torch

for folder in sys.argv[1:]:
    if folder.endswith("-pickle"):
        with open(f"{folder}/model", "rb") as file:
            model = pickle.load(file)
    else:
        model = torch.load(f"{folder}/model", weights_only=False)
    with torch.no_grad():
        torch.save(dict(model(**torch.load(f"{folder}/inputs"))), f"{folder}/outputs")
"""


def baseline(model_class, text, vision):
    torch.manual_seed(0)
    config = BaselineConfig(
        text_config=TEXT_CONFIGS[text].to_dict(), vision_config=vision.to_dict(), num_labels=5, use_caption=True
    )
    return model_class(config).eval()


RESNET = ResNetConfig(embedding_size=8, hidden_sizes=[8, 12, 16, 24], depths=[1, 1, 1, 1])
# Encoders of different classes, so that loading one model registers nothing for the next.
MODELS = {
    "head": tiny_model,
    "body": lambda: TGDIModel(tiny_config("roberta", "vit")).eval(),
    "own layers": lambda: tiny_model(text="camembert", vision="dinov2", toi_share_text_encoder=False),
    "hidden states": lambda: tiny_model(text="electra", vision="siglip_vision_model", output_hidden_states=True),
    "baseline": lambda: baseline(HVPNeTForRelationExtraction, "xlm-roberta", VISION_CONFIGS["dinov3_vit"]),
    "resnet": lambda: baseline(HVPNeTForRelationExtraction, "bert", RESNET),
    "visualbert": lambda: baseline(VisualBERTForRelationExtraction, "bert", VISION_CONFIGS["vit"]),
}


@pytest.mark.slow  # starts a process
def test_a_new_process_unpickles_models(tmp_path):
    """One process loads all models, since starting it takes seconds."""
    inputs, folders, expected = tiny_inputs(), [], []
    for number, make in enumerate(MODELS.values()):
        how = "pickle" if number % 2 else "torch"
        folders.append(tmp_path / f"{number}-{how}")
        folders[-1].mkdir()
        model = make()
        with torch.no_grad():
            expected.append(dict(model(**inputs)))  # installs the hooks that record hidden states
        if how == "pickle":
            (folders[-1] / "model").write_bytes(pickle.dumps(model))
        else:
            torch.save(model, folders[-1] / "model")
        torch.save(inputs, folders[-1] / "inputs")
    command = [sys.executable, "-c", LOAD, *map(str, folders)]
    found = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert found.returncode == 0, found.stderr
    for name, folder, one in zip(MODELS, folders, expected, strict=True):
        for part, value in torch.load(folder / "outputs").items():
            torch.testing.assert_close(value, one[part], msg=prefixed_with(name))
        assert name != "hidden states" or len(one["cross_modal_hidden_states"]) == 4


@pytest.mark.parametrize("name", MODELS)
def test_copies_equal_the_model_and_share_no_weights(name):
    model, inputs = MODELS[name](), tiny_inputs()
    with torch.no_grad():
        expected = model(**inputs)[0]
        file = io.BytesIO()
        torch.save(model, file)
        file.seek(0)
        for other in (copy.deepcopy(model), copy.deepcopy(copy.deepcopy(model)), torch.load(file, weights_only=False)):
            assert torch.equal(other(**inputs)[0], expected)
            other.get_input_embeddings().weight.zero_()
            assert torch.equal(model(**inputs)[0], expected)


def test_an_unpickled_model_records_the_same_outputs(tmp_path):
    model, inputs = tiny_model(attn_implementation="eager"), tiny_inputs()
    other = pickle.loads(pickle.dumps(model))
    asked = {"output_hidden_states": True, "output_attentions": True}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("error")
        expected, got = model(**inputs, **asked), other(**inputs, **asked)
    for part in ("cross_modal_hidden_states", "cross_modal_attentions", "text_oriented_attentions"):
        assert len(got[part]) == len(expected[part]) > 0
        assert all(torch.equal(one, two) for one, two in zip(got[part], expected[part], strict=True))

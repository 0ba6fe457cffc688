import copy
import json
from types import SimpleNamespace

import pytest
from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import model_index_to_eval_results

from tgdi_hf import TGDIConfig, evaluate
from tgdi_hf.hub.model_card import RECORDED, model_card
from tgdi_hf.training.training_record import recorded_versions


def result(f1, relation_f1=0.5):
    scores = {"eval_accuracy": 0.7, "eval_precision": 0.6, "eval_recall": 0.5, "eval_f1": f1}
    return {
        **scores,
        **{f"eval_{kind} None": relation_f1 for kind in ("precision", "recall", "f1")},
        "eval_support None": 9.0,
    }


def test_a_card_without_results(model):
    card = model_card(model, "me/tiny")
    assert "No results were recorded" in card.text
    assert card.data.to_dict().get("model-index") is None
    assert 'model="me/tiny", trust_remote_code=True' in card.text
    assert "Trained on both orders of every entity pair:** no" in card.text
    assert "license" not in card.data.to_dict()
    for name, version in recorded_versions(RECORDED).items():
        assert f"{name} {version}" in card.text


def test_settings_other_than_the_defaults(model):
    config = copy.copy(model.config)
    config.toi_num_layers = 2
    assert "Settings other than" not in model_card(SimpleNamespace(config=config), "me/tiny").text
    config.similarity_function, config.initial_gate = "dot", 0.75
    text = model_card(SimpleNamespace(config=config), "me/tiny").text
    assert "\n- **Settings other than the defaults:** `similarity_function=dot`, `initial_gate=0.75`\n- **Saved" in text


def test_the_card_names_the_preset(model):
    assert "Preset" not in model_card(model, "me/tiny").text
    parts = {"text_config": model.config.text_config, "vision_config": model.config.vision_config}
    for preset in ("paper", "application"):
        config = TGDIConfig.from_preset(preset, id2label=model.config.id2label, **parts)
        assert f"\n- **Preset:** `{preset}`\n" in model_card(SimpleNamespace(config=config), "me/tiny").text
        config.toi_num_layers, config.gate_attention = 1, False
        assert "Preset" not in model_card(SimpleNamespace(config=config), "me/tiny").text


def test_results_name_split_and_seeds(model, tmp_path):
    card = model_card(
        model, "me/tiny", results=[result(0.5), result(0.6, 0.7)], seeds=[0, 1], split="validation", license="mit",
        base_models=["bert-base-uncased", "openai/clip-vit-base-patch32"],
        co2={"emissions": 12.5, "source": "codecarbon"},
    )  # fmt: skip
    assert "| 70.0 ± 0.0 | 60.0 ± 0.0 | 50.0 ± 0.0 | 55.0 ± 7.1 |" in card.text
    assert "On MNRE, validation split, seeds 0, 1." in card.text
    assert "| `None` | 9 | 60.0 ± 14.1 | 60.0 ± 14.1 | 60.0 ± 14.1 |" in card.text
    # What is written is read back the same by the Hub's library.
    card.save(tmp_path / "README.md")
    again = ModelCard.load(tmp_path / "README.md")
    assert again.data.to_dict() == card.data.to_dict()
    _, found = model_index_to_eval_results(again.data.to_dict()["model-index"])
    f1 = next(one for one in found if one.metric_type == "f1")
    assert (f1.metric_value, f1.dataset_split) == (0.55, "validation")
    assert f1.metric_name == "micro-F1 without None (seeds 0, 1)"
    assert again.data.co2_eq_emissions == {"emissions": 12.5, "source": "codecarbon"}
    assert again.data.base_model == ["bert-base-uncased", "openai/clip-vit-base-patch32"]


def test_the_scores_of_an_evaluation(checkpoint, corpus, model):
    scores = evaluate(checkpoint, corpus["test"])
    card = model_card(model, "me/tiny", results=json.loads(json.dumps(scores)), dataset_name="My posts", split="test")
    rows = [line for line in card.text.splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == [model.config.id2label[i] for i in range(model.config.num_labels)]
    assert sum(int(row.split("|")[2]) for row in rows) == len(corpus["test"])
    (measured,) = card.data.to_dict()["model-index"]
    (on,) = measured["results"]
    assert on["dataset"] == {"type": "my-posts", "name": "My posts", "split": "test"}
    found = {metric["type"]: metric["value"] for metric in on["metrics"]}
    assert found == {name: round(scores[f"eval_{name}"], 4) for name in ("accuracy", "precision", "recall", "f1")}


def test_bars_in_labels_do_not_end_a_cell(model):
    config = copy.deepcopy(model.config)
    config.id2label = {**config.id2label, 1: "peer|couple"}
    scores = {**result(0.5), **{f"eval_{kind} peer|couple": 0.5 for kind in ("precision", "recall", "f1")}}
    training = {"hyperparameters": {"label_names": "a|b"}}
    text = model_card(SimpleNamespace(config=config), "me/tiny", results=scores, training=training).text
    assert "| `peer\\|couple` |  | 50.0 | 50.0 | 50.0 |" in text and "| `label_names` | a\\|b |" in text


def test_a_folder_without_a_name_is_no_dataset(model):
    for folder in (".", ".."):
        with pytest.raises(
            ValueError, match=rf"computed on '{folder}', which is not the name of a dataset; pass `data"
        ):
            model_card(model, "me/tiny", results=scored(data=folder))
    assert "On Posts, test" in model_card(model, "me/tiny", results=scored(data="."), dataset_name="Posts").text


def test_a_model_without_a_negative_label(model):
    config = copy.deepcopy(model.config)
    config.id2label = {i: f"relation {i}" for i in range(config.num_labels)}
    scores = {key: value for key, value in result(0.5).items() if not key.endswith(" None")}
    text = str(model_card(SimpleNamespace(config=config), "me/tiny", results=scores))
    assert "None" not in text and "| relation | rows |" not in text


@pytest.mark.parametrize("name", ["", "/data/bert", "../bert", "./bert", "a/b/c", r"C:\bert"])
def test_folders_are_no_base_models(model, name):
    model.config.text_config._name_or_path = name
    model.config.vision_config._name_or_path = "openai/clip-vit-base-patch32"
    assert model_card(model, "me/tiny").data.base_model == ["openai/clip-vit-base-patch32"]


def test_an_unused_encoder_is_no_base_model(model):
    model.config.text_config._name_or_path = "bert-base-uncased"
    model.config.vision_config._name_or_path = "openai/clip-vit-base-patch32"
    model.config.use_visual_prompts = model.config.use_matching_gate = False
    assert model_card(model, "me/tiny").data.base_model == ["bert-base-uncased"]


def test_a_folder_named_like_a_model_is_no_base_model(model, tmp_path, monkeypatch):
    (tmp_path / "mine" / "bert").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    model.config.text_config._name_or_path = "mine/bert"
    assert model_card(model, "me/tiny").data.base_model is None
    assert model_card(model, "me/tiny", base_models=["me/bert"]).data.base_model == ["me/bert"]


def test_one_result_has_no_deviation(model):
    card = model_card(model, "me/tiny", results=result(0.5), seeds=[3], notes="Trained on a Tuesday.", co2="12 g")
    assert "| 70.0 | 60.0 | 50.0 | 50.0 |" in card.text
    assert "seed 3." in card.text and "±" not in card.text
    assert "Trained on a Tuesday." in card.text and "12 g" in card.text


def test_the_card_names_training_on_both_orders(model):
    model.config.direction_balanced = True
    text = model_card(model, "me/tiny").text
    assert "Trained on both orders of every entity pair:** yes" in text
    assert "applies no order prior" in text and "tail first" not in text


def test_the_card_says_which_order_is_corrected(model):
    assert "was not counted (`tail_first_bias`)" in model_card(model, "me/tiny").text
    model.config.tail_first_bias = 1.234
    text = model_card(model, "me/tiny").text
    assert "training rows (`tail_first_bias=1.23`), but not for a single pair" in text and "not counted" not in text


def test_the_card_says_whether_the_gate_is_a_probability(model):
    assert "`gate` in the results is not a probability" in model_card(model, "me/tiny").text
    model.config.gate_is_probability = True
    text = model_card(model, "me/tiny").text
    assert "estimates the probability that the image belongs to the" in text and "calibration error" not in text
    model.config.gate_calibration_error = 0.0314
    assert "(expected calibration error on validation rows 0.031)" in model_card(model, "me/tiny").text


def test_the_code_of_the_card_runs(checkpoint, model, capsys):
    text = model_card(model, str(checkpoint)).text
    exec(text.split("```python\n")[1].split("```")[0], {})
    printed = capsys.readouterr().out
    assert "'relation'" in printed and "'pairs'" in printed


def test_results_without_scores_or_seeds_are_refused(model):
    with pytest.raises(ValueError, match="The results lack eval_accuracy, eval_precision"):
        model_card(model, "me/tiny", results={"f1": 0.5})
    with pytest.raises(ValueError, match="Expected one seed per result; found 1 results and 2 seeds"):
        model_card(model, "me/tiny", results=result(0.5), seeds=[0, 1])


def scored(**of):
    plain = {"data": "/home/me/tweets", "split": "test", "objects": "none", "control": None, "listed_order": False}
    return {**result(0.5), "scored": {**plain, "rows": 40, "changed": 0, "share": 1.0, "seed": 0, **of}}


def test_recorded_settings_of_the_results(model):
    card = model_card(model, "me/tiny", results=[scored(), scored(seed=1)])
    assert "On tweets, test split, 2 runs." in card.text and "best epoch" not in card.text and "/home" not in str(card)
    assert (
        "The best epoch was also selected on this split"
        in model_card(model, "me/tiny", results=scored(split="validation")).text
    )
    text = model_card(model, "me/tiny", results=scored(objects="published")).text
    assert "**With published object crops, whose number leaks the label" in text
    text = model_card(model, "me/tiny", results=scored(control="noise-images", changed=30)).text
    assert "**Under the control `noise-images`, which perturbed 30 of 40 rows.**" in text
    text = model_card(model, "me/tiny", results=scored(listed_order=True)).text
    assert "With the entity-order prior estimated from the training split." in text
    with pytest.raises(ValueError, match="Expected results on the split 'validation'; found results on 'test'"):
        model_card(model, "me/tiny", results=scored(), split="validation")
    with pytest.raises(ValueError, match="differ in their settings: control is None and 'no-image'"):
        model_card(model, "me/tiny", results=[scored(), scored(control="no-image")])


@pytest.mark.parametrize("results", [(), [result(0.5)], [result(0.5), result(0.6)]], ids=["none", "one", "two"])
def test_the_title_is_the_name_of_the_model(model, results):
    assert "\n# tiny\n" in model_card(model, "me/tiny", results=results).text

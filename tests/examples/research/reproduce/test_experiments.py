import json
from dataclasses import replace

import pytest

from examples.research.reproduce.experiments import CONFIGS, read_experiments
from examples.research.reproduce.paper import TABLE_2
from tgdi_hf import TGDIConfig
from tgdi_hf.training.recipe import training_arguments

GROUPS = sorted(folder.name for folder in CONFIGS.iterdir())


@pytest.mark.parametrize("group", GROUPS)
def test_every_file_is_a_runnable_experiment(group, tmp_path):
    for experiment in read_experiments(group):
        assert (CONFIGS / f"{experiment.run}.json").is_file()
        training_arguments(tmp_path, **experiment.arguments)
        if experiment.model == "tgdi":
            names = {"id2label": {i: str(i) if i else "None" for i in range(23)}}
            TGDIConfig(**names, direction_balanced=experiment.both_orders, **experiment.config)
        if experiment.same_as:
            other_group, name = experiment.same_as.split("/")
            (other,) = [other for other in read_experiments(other_group) if other.name == name]
            assert other.same_as is None
            own = json.loads((CONFIGS / group / f"{experiment.name}.json").read_text())
            assert own.keys() == {"title", "same_as"}  # it would change what it is called the same as
            assert replace(experiment, group=other_group, name=name, title=other.title, same_as=None) == other


def test_every_system_of_the_paper_has_an_experiment():
    found = {experiment.name for group in ("ablations", "table2") for experiment in read_experiments(group)}
    assert TABLE_2.keys() <= found


def test_table_2_is_in_the_order_of_the_paper():
    names = [experiment.name for experiment in read_experiments("table2")]
    assert names == [name for name in TABLE_2 if name in names]
    assert [experiment.name for experiment in read_experiments("main")] == ["mtb", "tgdi", "mtb-caption"]


def test_low_resource_curves_have_a_multimodal_rival():
    for group, models in (("low_resource", {"mtb", "hvpnet", "tgdi"}), ("low_resource_stratified", {"mtb", "tgdi"})):
        experiments = read_experiments(group)
        assert {(one.share, one.model) for one in experiments} == {
            (share, model) for share in (0.05, 0.1, 0.2, 0.3, 0.4, 0.5) for model in models
        }
        assert {one.sampling for one in experiments} == {"stratified" if "strat" in group else "random"}


def test_unknown_keys_and_values_are_refused(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "one.json").write_text('{"title": "one", "class_weights": 0.5, "both_orders": true}')
    with pytest.raises(ValueError, match="mine/one: `class_weights` count rows in their listed order"):
        read_experiments("mine", tmp_path)
    for wrong in ({"share": 0}, {"share": 1.5}, {"control_share": -1}, {"control": "blank"}, {"sampling": "half"}):
        (tmp_path / "mine" / "one.json").write_text(json.dumps({"title": "one", **wrong}))
        with pytest.raises(ValueError, match="mine/one: (`share` is|unknown control 'blank'|unknown sampling 'half')"):
            read_experiments("mine", tmp_path)
    for wrong, message in (
        (
            {"caption_dropout": 0.6, "swapped_captions": 0.6},
            "`caption_dropout` is 0.6 and `swapped_captions` 0.6; expected",
        ),
        ({"caption_path": "gate", "model": "mtb"}, "changes where or when TGDI reads captions"),
        ({"caption_dropout": 0.5, "use_caption": False}, "changes where or when TGDI reads captions"),
        ({"caption_path": "gat"}, "unknown path of the captions 'gat'; expected one of text, gate, own pass"),
        ({"scored_under": ["no-caption", "blank"]}, "unknown control 'blank'"),
    ):
        (tmp_path / "mine" / "one.json").write_text(json.dumps({"title": "one", **wrong}))
        with pytest.raises(ValueError, match=f"mine/one: {message}"):
            read_experiments("mine", tmp_path)
    (tmp_path / "mine" / "one.json").write_text('{"title": "one", "model": "mtb", "preset": "paper"}')
    with pytest.raises(ValueError, match="mine/one: `preset` is 'paper', and only TGDI has presets; .* 'mtb'"):
        read_experiments("mine", tmp_path)
    (tmp_path / "mine" / "one.json").write_text('{"title": "one", "modle": "mtb"}')
    with pytest.raises(ValueError, match=r"one.json: unknown keys modle; expected some of .*model"):
        read_experiments("mine", tmp_path)
    with pytest.raises(ValueError, match="Unknown group 'yours'; expected one of mine"):
        read_experiments("yours", tmp_path)

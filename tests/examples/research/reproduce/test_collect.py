import json

import pytest

from examples.research.reproduce.collect import collect, what_ran

from .recorded import result


def test_runs_with_different_settings_are_not_averaged(tmp_path):
    (tmp_path / "main").mkdir()
    for seed, of in enumerate(({}, {"recipe": {"num_train_epochs": 20}})):
        (tmp_path / "main" / f"mtb-{seed}.json").write_text(json.dumps(result("mtb", seed, 0.5) | of))
    with pytest.raises(ValueError, match="mtb: cannot average runs with different recipe"):
        collect("main", tmp_path)
    for other, what in (
        ({"glove": "glove.txt"}, "word vectors"),
        ({"experiment": {"name": "mtb", "share": 0.5}}, "exper"),
    ):
        (tmp_path / "main" / "mtb-1.json").write_text(json.dumps(result("mtb", 1, 0.5) | other))
        with pytest.raises(ValueError, match=f"mtb: cannot average runs with different {what}"):
            collect("main", tmp_path)
    same = {"experiment": {"name": "mtb", "title": "text", "control_share": 1.0}}  # another title, a later field
    (tmp_path / "main" / "mtb-1.json").write_text(json.dumps(result("mtb", 1, 0.5) | same))
    collect("main", tmp_path)
    (tmp_path / "main" / "mtb-1.json").rename(tmp_path / "main" / "tgdi-0.json")
    collect("main", tmp_path)  # another model may have another recipe
    other = result("tgdi", 0, 0.5) | {"encoders": ["bert-large", "vit"]}
    (tmp_path / "main" / "tgdi-0.json").write_text(json.dumps(other))
    with pytest.raises(ValueError, match="main: cannot average runs with different encoders"):
        collect("main", tmp_path)
    for name, digest in (("mtb", "0"), ("tgdi", "1")):
        (tmp_path / "main" / f"{name}-0.json").write_text(
            json.dumps(result(name, 0, 0.5) | {"data": {"train": digest}})
        )
    with pytest.raises(ValueError, match="main: cannot average runs with different data"):
        collect("main", tmp_path)


def test_early_shares_were_stratified():
    early = {"name": "10-mtb", "model": "mtb", "share": 0.1}
    stratified, random = ({**early, "sampling": sampling} for sampling in ("stratified", "random"))
    assert what_ran(early) == what_ran(stratified) != what_ran(random)
    assert what_ran({"name": "mtb", "model": "mtb"}) == {"model": "mtb"}

import json

import pytest

from examples.research.speed_and_quality import parser, train
from tgdi_hf.training.run_record import digest_of_rows


def test_a_model_is_used_again_only_if_it_was_trained_alike(corpus, tmp_path):
    args = parser.parse_args(["posts", str(tmp_path), "--epochs", "2"])
    folder = tmp_path / "crops-0"
    folder.mkdir()
    settings = {"epochs": 2.0, "share": 1.0, "rows": digest_of_rows(corpus["train"])}
    (folder / "speed_and_quality.json").write_text(json.dumps(settings))
    assert train(corpus, args, "crops", 0) == folder
    for changes in ({"epochs": 1.0}, {"share": 0.5}, {"rows": "of another corpus"}):
        (folder / "speed_and_quality.json").write_text(json.dumps({**settings, **changes}))
        with pytest.raises(ValueError, match=r"crops-0 has a model with .*; expected .*'epochs': 2\.0.* Name another"):
            train(corpus, args, "crops", 0)

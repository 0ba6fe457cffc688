import json

import pytest

from tgdi_hf import evaluate, evaluation_report

from .scored import QUICK


def test_a_model_of_another_type_is_refused(corpus, checkpoint):
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps({**config, "model_type": "mre_baseline"}))
    with pytest.raises(ValueError, match="is a model of type 'mre_baseline'; expected 'tgdi'"):
        evaluate(checkpoint, corpus["test"], **QUICK)


def test_the_order_prior_requires_a_model_trained_on_both_orders(corpus, checkpoint):
    for score in (evaluate, evaluation_report):
        with pytest.raises(ValueError, match="was not trained on both orders"):
            score(checkpoint, corpus["test"], train=corpus["train"], **QUICK)

import json

import pytest

from tgdi_hf import evaluate, evaluation_report
from tgdi_hf.evaluation.checkpoint_loading import load_for_evaluation

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


def test_a_processor_that_reads_objects_in_another_way_is_refused(corpus, checkpoint):
    file = checkpoint / "config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps({**config, "object_features": "regions"}))
    with pytest.raises(ValueError, match=r"model has `object_features='regions'`, but the processor has 'crops'"):
        load_for_evaluation(checkpoint, corpus["test"])

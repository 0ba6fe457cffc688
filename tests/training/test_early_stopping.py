from types import SimpleNamespace

import pytest

from tgdi_hf.training.early_stopping import early_stopping_options
from tgdi_hf.training.recipe import training_arguments


def test_without_patience_nothing_changes():
    options = early_stopping_options(None, {})
    assert options.arguments == {} and options.callbacks() == []


def test_every_training_has_its_own_counter():
    options = early_stopping_options(3, {"eval_strategy": "steps", "eval_steps": 10})
    (first,), (second,) = options.callbacks(), options.callbacks()
    assert first is not second and first.early_stopping_patience == 3
    assert training_arguments("unused", **options.arguments).restore_callback_states_from_checkpoint


@pytest.mark.parametrize(
    ("patience", "counted", "expected"), [(2, 2, True), (2, 1, False), (2, None, False), (None, 2, False)]
)
def test_a_state_tells_whether_its_training_has_stopped(patience, counted, expected):
    saved = {"attributes": {"early_stopping_patience_counter": counted}}
    callbacks = {} if counted is None else {"EarlyStoppingCallback": saved}
    state = SimpleNamespace(stateful_callbacks=callbacks)
    assert early_stopping_options(patience, {}).has_stopped(state) is expected


@pytest.mark.parametrize(
    ("patience", "arguments", "message"),
    [
        (0, {}, "`early_stopping` is 0; expected the number of epochs to wait, 1 or more"),
        (-1, {}, "`early_stopping` is -1"),
        (True, {}, "`early_stopping` is True"),
        (1.5, {}, r"`early_stopping` is 1\.5"),
        (2, {"load_best_model_at_end": False}, "compares epochs, but `load_best_model_at_end` is False"),
        (2, {"eval_strategy": "no"}, "compares epochs, but `eval_strategy` is 'no'"),
    ],
)
def test_what_cannot_stop_early_is_refused(patience, arguments, message):
    with pytest.raises(ValueError, match=message):
        early_stopping_options(patience, arguments)

import pytest
from transformers import TrainingArguments

from tgdi_hf.evaluation.scoring_arguments import collator_arguments
from tgdi_hf.training.recipe import training_arguments


def test_the_recipe_selects_the_best_epoch_by_f1(tmp_path):
    arguments = training_arguments(tmp_path)
    assert type(arguments) is TrainingArguments
    assert (arguments.learning_rate, arguments.num_train_epochs, arguments.warmup_steps) == (3e-5, 6, 0.1)
    assert (arguments.metric_for_best_model, arguments.greater_is_better) == ("f1", True)
    assert arguments.load_best_model_at_end and arguments.eval_strategy == arguments.save_strategy == "epoch"
    for name, value in collator_arguments().items():
        if name != "accelerator_config":
            assert getattr(arguments, name) == value
    assert arguments.accelerator_config.dispatch_batches is False


def test_every_field_can_be_overridden(tmp_path):
    arguments = training_arguments(tmp_path, learning_rate=1e-3, per_device_eval_batch_size=2, logging_steps=7)
    assert (arguments.learning_rate, arguments.per_device_eval_batch_size, arguments.logging_steps) == (1e-3, 2, 7)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"metric_for_best_model": "loss"}, False),
        ({"metric_for_best_model": "eval_loss"}, False),
        ({"metric_for_best_model": "accuracy"}, True),
        ({"metric_for_best_model": "loss", "greater_is_better": True}, True),
    ],
)
def test_the_best_epoch_is_that_of_the_least_loss(tmp_path, overrides, expected):
    assert training_arguments(tmp_path, **overrides).greater_is_better is expected

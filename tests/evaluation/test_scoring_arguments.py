from tgdi_hf.evaluation.scoring_arguments import scoring_arguments
from tgdi_hf.training.recipe import training_arguments


def test_scoring_neither_trains_nor_saves(tmp_path):
    arguments = scoring_arguments(tmp_path)
    assert arguments.eval_strategy == arguments.save_strategy == "no"
    assert not arguments.load_best_model_at_end and not arguments.remove_unused_columns


def test_scoring_runs_a_model_as_training_validates_it(tmp_path):
    names = ("per_device_eval_batch_size", "dataloader_num_workers", "seed", "use_cpu", "bf16_full_eval", "data_seed")
    scoring, training = scoring_arguments(tmp_path), training_arguments(tmp_path)
    assert [getattr(scoring, name) for name in names] == [getattr(training, name) for name in names]
    assert scoring.accelerator_config == training.accelerator_config
    assert scoring_arguments(tmp_path, per_device_eval_batch_size=3).per_device_eval_batch_size == 3

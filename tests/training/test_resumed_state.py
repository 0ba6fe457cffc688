from types import SimpleNamespace

import pytest
from transformers import TrainerState

from tgdi_hf.training.resumed_state import locate_best, restore_state, saved_results, state_of


def saved(folder, best):
    folder.mkdir()
    TrainerState(global_step=4, best_model_checkpoint=best).save_to_json(str(folder / "trainer_state.json"))
    return folder


def test_the_best_checkpoint_is_found_in_a_folder_that_was_moved(tmp_path):
    last = saved(tmp_path / "checkpoint-4", "/gone/run/checkpoint-2")
    with pytest.raises(ValueError, match=r"Cannot resume from .*checkpoint-4: .*checkpoint-2, the best .* is missing"):
        locate_best(last)
    (tmp_path / "checkpoint-2").mkdir()
    for _ in range(2):
        assert locate_best(last).best_model_checkpoint == str(tmp_path / "checkpoint-2")
        assert state_of(last).best_model_checkpoint == str(tmp_path / "checkpoint-2")
    assert state_of(last).global_step == 4 and [file.name for file in last.iterdir()] == ["trainer_state.json"]


def test_a_run_may_have_no_best_checkpoint(tmp_path):
    assert locate_best(saved(tmp_path / "checkpoint-4", None)).best_model_checkpoint is None


@pytest.mark.parametrize("first", [True, False])
def test_a_restored_state_is_that_of_this_process(first):
    trainer = SimpleNamespace(is_local_process_zero=lambda: first, is_world_process_zero=lambda: first)
    state = TrainerState(epoch=3.0)
    restore_state(trainer, state)
    assert trainer.state is state
    assert (state.is_local_process_zero, state.is_world_process_zero) == (first, first)


def test_results_are_read_if_there_are_any(tmp_path):
    assert saved_results(tmp_path) == {}
    (tmp_path / "all_results.json").write_text('{"train_loss": 0.5}')
    assert saved_results(tmp_path) == {"train_loss": 0.5}

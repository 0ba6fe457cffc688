from types import SimpleNamespace

import pytest
from transformers import TrainerState

from tgdi_hf.training.resumed_state import best_checkpoint, restore_state, saved_results, state_of


def test_the_best_checkpoint_is_found_in_a_folder_that_was_moved(tmp_path):
    TrainerState(global_step=4, best_model_checkpoint="/gone/run/checkpoint-2").save_to_json(
        str(tmp_path / "trainer_state.json")
    )
    state = state_of(tmp_path)
    assert state.global_step == 4
    assert best_checkpoint(state, tmp_path) == tmp_path / "checkpoint-2"


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

import pytest
from datasets import DatasetDict

from tgdi_hf import fine_tune
from tgdi_hf.training.run_setup import run_setup

HUB = {"token": "secret", "cache_dir": None, "local_files_only": True}


def setup_of(corpus, encoders, options=None, swap_images=None):
    return run_setup(corpus, *encoders, options, swap_images, None, None, HUB, "tune")


@pytest.mark.parametrize(
    ("options", "swap_images", "expected", "recorded"),
    [(None, None, 0.0, None), ({"preset": "application"}, None, 0.1, 0.1), ({"preset": "application"}, 0.0, 0.0, None)],
)
def test_the_preset_decides_what_is_not_set(corpus, encoders, options, swap_images, expected, recorded):
    setup = setup_of(corpus, encoders, options, swap_images)
    assert (setup.swap_images, setup.recorded["swap_images"]) == (expected, recorded)
    assert ("inverse_labels" in setup.model_options) == (options is not None)


def test_a_token_is_used_and_not_recorded(corpus, encoders):
    setup = setup_of(corpus, encoders)
    assert setup.access["token"] == "secret" and "secret" not in str(setup.recorded)
    with pytest.raises(ValueError, match="`model_options` has token; pass it as an argument of `tune`"):
        setup_of(corpus, encoders, {"token": "secret"})


def test_every_model_has_the_options_of_the_run_unless_they_are_overridden(corpus, encoders):
    setup = setup_of(corpus, encoders, {"num_objects": 1, "toi_num_layers": 1})
    for options, expected in (({}, 1), ({"num_objects": 2}, 2)):
        model, processor = setup.build(**options)
        assert model.config.num_objects == processor.num_objects == expected
        assert model.config.toi_num_layers == 1


@pytest.mark.parametrize("split", ["train", "validation"])
def test_both_splits_are_required_before_encoders_are_read(split, corpus, tmp_path):
    missing = DatasetDict({name: rows for name, rows in corpus.items() if name != split})
    empty = DatasetDict({**corpus, split: corpus[split].select([])})
    for rows in (missing, empty):
        with pytest.raises(ValueError, match=f"selects the best epoch by F1 on 'validation'; '{split}' has no rows"):
            fine_tune(rows, tmp_path / "run", "no/such/encoder", "no/such/encoder")
    assert not (tmp_path / "run").exists()

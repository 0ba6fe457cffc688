import json
import shutil
from dataclasses import fields

import pytest
from datasets import Dataset, Image
from transformers import TrainingArguments

from tgdi_hf.data.dataset_columns import undecoded
from tgdi_hf.training.run_record import RESUMABLE_ARGUMENTS, claim, digest_of_rows, last_checkpoint

from .trainers import trainer_for


def test_an_incomplete_checkpoint_is_not_resumed_from(corpus, tmp_path):
    assert last_checkpoint(tmp_path) is None
    trainer = trainer_for(
        corpus, tmp_path, max_steps=4, save_strategy="steps", save_steps=2, eval_strategy="no",
        load_best_model_at_end=False,
    )  # fmt: skip
    trainer.train()
    assert last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-4")
    (tmp_path / "checkpoint-4" / "trainer_state.json").write_text("{")
    assert last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-2")
    (tmp_path / "checkpoint-2" / "trainer_state.json").unlink()
    assert last_checkpoint(tmp_path) is None


def test_only_the_same_run_is_resumed(tmp_path):
    claim(tmp_path / "run", {"seed": 0, "options": {"use_caption": True}, "pair": (1, 2)})
    checkpoint = tmp_path / "run" / "checkpoint-1"
    checkpoint.mkdir()
    (checkpoint / "trainer_state.json").write_text('{"global_step": 1}')
    claim(tmp_path / "run", {"seed": 0, "options": {"use_caption": True}, "pair": (1, 2)})
    other = {"seed": 1, "options": {"use_caption": False}, "pair": (1, 2)}
    with pytest.raises(ValueError, match=r"a run with another seed and options \(use_caption\)\. Resume"):
        claim(tmp_path / "run", other)
    shutil.rmtree(checkpoint)
    claim(tmp_path / "run", other)  # begins anew
    checkpoint.mkdir()
    (checkpoint / "trainer_state.json").write_text('{"global_step": 1}')
    with pytest.raises(ValueError, match="with another pair. Resume that run"):
        claim(tmp_path / "run", {"seed": 1, "options": {"use_caption": False}})
    with pytest.raises(ValueError, match=r"with another options \(preset, use_caption\)\."):
        claim(tmp_path / "run", {**other, "options": {"preset": "default"}})  # an option that the run did not have
    (tmp_path / "run" / "run.json").unlink()
    with pytest.raises(ValueError, match="another seed and options and pair"):
        claim(tmp_path / "run", other)


def test_settings_that_change_nothing_or_were_not_recorded_do_not_differ(tmp_path):
    recorded = {"seed": 0, "hub_token": "hf_secret", "per_device_eval_batch_size": 64}  # by an older version
    (tmp_path / "checkpoint-1").mkdir()
    (tmp_path / "checkpoint-1" / "trainer_state.json").write_text('{"global_step": 1}')
    (tmp_path / "run.json").write_text(json.dumps(recorded))
    claim(tmp_path, {"seed": 0, "validation_digest": "a"})
    assert json.loads((tmp_path / "run.json").read_text()) == {"seed": 0, "validation_digest": "a"}
    assert {file.name for file in tmp_path.iterdir()} == {"run.json", "checkpoint-1"}
    with pytest.raises(ValueError, match=r"with another validation_digest\. Resume"):
        claim(tmp_path, {"seed": 0, "validation_digest": "b"})


def test_arguments_that_may_change_exist():
    assert set(RESUMABLE_ARGUMENTS) <= {field.name for field in fields(TrainingArguments)}


def test_the_digest_of_rows_covers_everything_a_model_reads(corpus, tmp_path):
    rows = undecoded(corpus["validation"].select(range(8)))
    row = next(i for i, row in enumerate(rows) if row["image"] and row["objects"] and row["caption"])

    def changed(name, value):
        return Dataset.from_list([{**of, name: value} if i == row else of for i, of in enumerate(rows)], rows.features)

    same = digest_of_rows(rows)
    assert digest_of_rows(changed("caption", rows[row]["caption"])) == same
    others = [changed(name, None) for name in ("image", "objects", "caption")]
    others += [changed("head", rows[row]["tail"]), changed("label", 1 - min(rows[row]["label"], 1))]
    assert len({same, *map(digest_of_rows, others)}) == 6
    # What says how a row was made, and no model is shown, does not count; nor does the folder of an image's file.
    assert digest_of_rows(rows.remove_columns(["id", "relevance"])) == same
    here, there = (
        Dataset.from_dict(
            {"text": ["a b"], "head": [[0, 1]], "tail": [[2, 3]], "image": [f"{place}/a.png"]}
        ).cast_column("image", Image())
        for place in ("here", "there")
    )
    assert digest_of_rows(here) == digest_of_rows(there)

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from datasets import ClassLabel, Dataset, DatasetDict, Image
from transformers import Trainer, TrainerCallback, set_seed

from tgdi_hf import TGDIForRelationExtraction, TGDIProcessor, evaluate
from tgdi_hf.data.dataset_columns import undecoded
from tgdi_hf.data.entity_order import count_inverses
from tgdi_hf.data.labels import with_class_labels
from tgdi_hf.data.loading import load_data
from tgdi_hf.demo.tiny_model import tiny_tgdi
from tgdi_hf.training.build import build_model
from tgdi_hf.training.optimizer import optimizer_for
from tgdi_hf.training.recipe import training_arguments
from tgdi_hf.training.run_record import claim, digest_of_rows, last_checkpoint
from tgdi_hf.training.trainer import make_trainer

QUICK = dict(num_train_epochs=1, learning_rate=1e-3, dataloader_num_workers=0, logging_steps=1, disable_tqdm=True)

# Nothing but steps.
PLAIN = dict(QUICK, eval_strategy="no", save_strategy="no", load_best_model_at_end=False)


def trainer_for(corpus, folder, options=None, **arguments):
    set_seed(0)
    model, processor = tiny_tgdi(corpus, **(options or {}))
    return make_trainer(model, processor, corpus, training_arguments(folder, **{**QUICK, **arguments}))


def losses(trainer):
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def test_training_learns_scores_and_leaves_a_checkpoint_with_its_processor(corpus, tmp_path):
    trainer = trainer_for(corpus, tmp_path, num_train_epochs=4)
    trainer.train()
    assert losses(trainer)[-1] < losses(trainer)[0]
    scored = [entry for entry in trainer.state.log_history if "eval_f1" in entry]
    assert len(scored) == 4
    assert {"eval_accuracy", "eval_precision", "eval_recall"} <= scored[0].keys()
    assert trainer.state.best_metric == max(entry["eval_f1"] for entry in scored)
    again = TGDIForRelationExtraction.from_pretrained(trainer.state.best_model_checkpoint)
    TGDIProcessor.from_pretrained(trainer.state.best_model_checkpoint)
    assert len([*tmp_path.glob("checkpoint-*")]) == 2
    for name, value in trainer.model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_evaluation_gathers_nothing_but_logits(corpus, tmp_path):
    trainer = trainer_for(corpus, tmp_path)
    output = trainer.predict(undecoded(corpus["test"]))
    assert output.predictions.shape == (32, 9)


def test_accumulated_steps_equal_one_large_step(corpus, tmp_path):
    """2 × 8 rows and 1 × 16 give the same losses and the same weights."""
    # Dropout off: it would draw other masks for other batches.
    results = []
    for name, size, steps in (("large", 16, 1), ("small", 8, 2)):
        trainer = trainer_for(
            corpus, tmp_path / name, per_device_train_batch_size=size, gradient_accumulation_steps=steps,
            eval_strategy="no", save_strategy="no", load_best_model_at_end=False,
        )  # fmt: skip
        for module in trainer.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        trainer.train()
        results.append((losses(trainer), dict(trainer.model.named_parameters())))
    assert results[0][0] == pytest.approx(results[1][0], abs=1e-3)
    for name, value in results[0][1].items():
        torch.testing.assert_close(value, results[1][1][name], atol=2e-3, rtol=1e-2, msg=lambda m, n=name: f"{n}: {m}")


def test_runs_with_one_seed_are_one_run(corpus, tmp_path):
    curves = []
    for name in "ab":
        trainer = trainer_for(corpus, tmp_path / name)
        trainer.train()
        curves.append(losses(trainer))
    assert curves[0] == curves[1]


def test_resuming_goes_on_as_if_nothing_had_happened(corpus, tmp_path):
    class Stop(TrainerCallback):
        def on_epoch_end(self, args, state, control, **kwargs):
            control.should_training_stop = state.epoch >= 1

    whole = trainer_for(corpus, tmp_path / "whole", num_train_epochs=2)
    whole.train()
    broken = trainer_for(corpus, tmp_path / "broken", num_train_epochs=2)
    broken.add_callback(Stop())
    broken.train()
    resumed = trainer_for(corpus, tmp_path / "broken", num_train_epochs=2)
    resumed.train(resume_from_checkpoint=True)
    assert losses(resumed) == pytest.approx(losses(whole), abs=1e-6)


def test_a_checkpoint_cut_short_is_not_resumed_from(corpus, tmp_path):
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


def test_bf16_and_activation_checkpointing(corpus, tmp_path):
    trainer = trainer_for(corpus, tmp_path, bf16=True, activation_checkpointing=True, max_steps=2)
    trainer.train()
    plain = trainer_for(corpus, tmp_path / "plain", max_steps=2)
    plain.train()
    assert len(losses(plain)) == 2
    assert losses(trainer) == pytest.approx(losses(plain), rel=0.05)  # the same steps, but for rounding


def test_what_starts_from_random_weights_can_have_its_own_rate(corpus):
    model, _ = tiny_tgdi(corpus, toi_share_text_encoder=False)
    arguments = training_arguments("unused", learning_rate=1e-5, weight_decay=0.1)
    rates = {
        id(p): (group["lr"], group["weight_decay"])
        for group in optimizer_for(model, arguments, fusion_learning_rate=1e-3).param_groups
        for p in group["params"]
    }
    by_name = {name: rates[id(p)] for name, p in model.named_parameters()}
    assert by_name["tgdi.text_encoder.embeddings.word_embeddings.weight"] == (1e-5, 0.1)
    assert by_name["tgdi.text_oriented.layers.0.attention.self.query.bias"] == (1e-5, 0.0)
    assert by_name["tgdi.text_oriented.prefix.layers.0.weight"] == (1e-5, 0.1)
    assert by_name["tgdi.visual_prompts.prefix.layers.0.weight"] == (1e-3, 0.1)
    assert by_name["classifier.bias"] == (1e-3, 0.0)
    assert {rate for rate, _ in rates.values()} == {1e-5, 1e-3}


def test_the_optimizer_that_was_asked_for_is_used(corpus, tmp_path):
    model, processor = tiny_tgdi(corpus)
    for rate in (None, 1e-3):
        arguments = training_arguments(tmp_path, optim="adafactor", max_steps=1, **PLAIN)
        trainer = make_trainer(model, processor, corpus, arguments, fusion_learning_rate=rate)
        trainer.train()
        assert type(trainer.optimizer.optimizer).__name__ == "Adafactor"
    arguments.optim = "galore_adamw"
    with pytest.raises(Exception, match="galore|GaLore"):
        optimizer_for(model, arguments, 1e-3)


def test_several_devices_in_one_process_get_batches_that_can_be_cut(corpus, tmp_path):
    model, processor = tiny_tgdi(corpus)
    arguments = training_arguments(tmp_path)
    assert make_trainer(model, processor, corpus, arguments).data_collator.share_images
    assert arguments.accelerator_config.dispatch_batches is False
    arguments._n_gpu = 2
    assert not make_trainer(model, processor, corpus, arguments).data_collator.share_images


def test_rows_of_like_length_share_a_batch(corpus, tmp_path):
    trainer = trainer_for(corpus, tmp_path, train_sampling_strategy="group_by_length", per_device_train_batch_size=4)
    train, tokenizer = trainer.train_dataset, trainer.processing_class.tokenizer
    row = train[0]
    assert row["length"] == sum(len(tokenizer.tokenize(text or "")) for text in (row["text"], row["caption"]))
    processor = TGDIProcessor(trainer.processing_class.image_processor, tokenizer, use_caption=False)
    arguments = training_arguments(tmp_path, train_sampling_strategy="group_by_length")
    without = make_trainer(trainer.model, processor, corpus, arguments)
    assert without.train_dataset[0]["length"] == len(tokenizer.tokenize(row["text"]))

    def padding(of):
        return sum(float((batch["attention_mask"] == 0).sum()) for batch in of.get_train_dataloader())

    assert padding(trainer) < 0.7 * padding(trainer_for(corpus, tmp_path, per_device_train_batch_size=4))
    trainer.train()
    assert trainer.state.best_metric is not None  # validated, too
    both = trainer_for(corpus, tmp_path, {"direction_balanced": True}, train_sampling_strategy="group_by_length")
    lengths = train["length"][:]
    assert both.train_dataset["length"][:] == [*lengths, *lengths]
    with pytest.raises(ValueError, match="rows under a control"):
        make_trainer(trainer.model, processor, corpus, arguments, control="text-only")


@pytest.mark.parametrize("name", ["matching_loss_weight", "branch_consistency_weight"])
def test_label_smoothing_would_switch_further_losses_off(name, corpus, tmp_path):
    trainer_for(corpus, tmp_path, label_smoothing_factor=0.1)
    with pytest.raises(ValueError, match=f"without the term that `{name}` adds"):
        trainer_for(corpus, tmp_path, {name: 1.0}, label_smoothing_factor=0.1)


def test_relations_need_no_none(corpus, tmp_path):
    names = corpus["train"].features["label"].names
    some = corpus.filter(lambda label: names[label] != "None", input_columns="label")
    some = some.map(lambda label: {"relation": names[label]}, input_columns="label", remove_columns="label")
    some = with_class_labels(some)
    assert "None" not in some["train"].features["label"].names
    set_seed(0)
    model, processor = tiny_tgdi(some)
    trainer = make_trainer(model, processor, some, training_arguments(tmp_path, **QUICK))
    found = trainer.evaluate()
    assert found["eval_f1"] == pytest.approx(found["eval_accuracy"])  # all count


def test_what_is_to_be_learned_has_to_be_said(corpus):
    with pytest.raises(ValueError, match="no column 'label' or 'relation'.*found .*text"):
        with_class_labels(corpus.remove_columns("label"))
    renamed = with_class_labels(corpus.rename_column("label", "relation"))
    assert renamed["train"].features["label"] == corpus["train"].features["label"]


def test_a_stream_of_rows_trains(corpus, tmp_path):
    set_seed(0)
    model, processor = tiny_tgdi(corpus)
    stream = {"train": corpus["train"].to_iterable_dataset()}
    trainer = make_trainer(model, processor, stream, training_arguments(tmp_path, max_steps=3, **PLAIN))
    trainer.train()
    assert len(losses(trainer)) == 3


def test_evaluate_scores_a_folder_and_each_relation(corpus, checkpoint):
    metrics = evaluate(checkpoint, corpus["test"], dataloader_num_workers=0, disable_tqdm=True)
    assert 0 <= metrics["eval_f1"] <= 1
    assert "eval_f1 /per/per/couple" in metrics


def test_evaluate_matches_relations_by_name(corpus, checkpoint):
    quick = dict(dataloader_num_workers=0, disable_tqdm=True)
    rows = corpus["test"]
    names = rows.features["label"].names
    expected = evaluate(checkpoint, rows, **quick)
    order = [*reversed(names)]
    labels = [order.index(names[label]) for label in rows["label"][:]]
    others = rows.remove_columns("label").add_column("label", labels, feature=ClassLabel(names=order))
    again = evaluate(checkpoint, others, **quick)
    assert {k: v for k, v in again.items() if "f1" in k} == {k: v for k, v in expected.items() if "f1" in k}
    strange = rows.remove_columns("label").add_column("label", [0] * len(rows), feature=ClassLabel(names=["friend"]))
    with pytest.raises(ValueError, match="the relation 'friend', which the model in .* does not know"):
        evaluate(checkpoint, strange, **quick)


def test_data_saved_to_disk_loads_by_its_folder(corpus, tmp_path):
    corpus.save_to_disk(tmp_path / "corpus")
    assert load_data(tmp_path / "corpus")["test"][3]["text"] == corpus["test"][3]["text"]
    with pytest.raises(ValueError, match="no MNRE corpus"):
        load_data(tmp_path)
    for options in ({"objects": "published"}, {"strict": False}):
        with pytest.raises(ValueError, match="saved DatasetDict.*to MNRE folders"):
            load_data(tmp_path / "corpus", **options)


def test_relations_by_name_become_labels_that_all_splits_share(tmp_path):
    rows = {"train": ["peer", "None", "couple"], "validation": ["parent", "None"]}
    table = DatasetDict({split: Dataset.from_dict({"relation": names}) for split, names in rows.items()})
    table.save_to_disk(tmp_path / "prepared" / "dataset")
    data = load_data(tmp_path / "prepared")
    assert data["train"].features["label"].names == ["None", "couple", "parent", "peer"]
    assert (data["train"]["label"][:], data["validation"]["label"][:]) == ([3, 0, 1], [2, 0])
    table["train"] = Dataset.from_dict({"relation": ["peer", None]})
    with pytest.raises(ValueError, match="'relation' has the value None; expected the name of a relation"):
        with_class_labels(table)


def test_trainer_needs_no_class_of_ours(corpus, tmp_path):
    assert type(trainer_for(corpus, tmp_path)) is Trainer


TRAIN = """
import sys
from datasets import load_from_disk
from transformers import set_seed
from tgdi_hf.demo.tiny_model import tiny_tgdi
from tgdi_hf.training.recipe import training_arguments
from tgdi_hf.training.run_record import last_checkpoint
from tgdi_hf.training.trainer import make_trainer
corpus, output, resume = load_from_disk(sys.argv[1]), sys.argv[2], sys.argv[3] == "resume"
set_seed(0)
model, processor = tiny_tgdi(corpus)
arguments = training_arguments(
    output, num_train_epochs=3, learning_rate=1e-3, logging_steps=1, per_device_train_batch_size=4,
    dataloader_num_workers=0, disable_tqdm=True, save_strategy="steps", save_steps=5, eval_strategy="no",
    load_best_model_at_end=False,
)
trainer = make_trainer(model, processor, corpus, arguments)
trainer.train(resume_from_checkpoint=last_checkpoint(output) if resume else None)
if trainer.is_world_process_zero():
    trainer.save_state()
    trainer.save_model()
"""


@pytest.fixture
def script(corpus, tmp_path):
    corpus.save_to_disk(tmp_path / "corpus")
    (tmp_path / "train.py").write_text(TRAIN)
    return [str(tmp_path / "train.py"), str(tmp_path / "corpus")]


def saved_losses(folder):
    history = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    return {entry["step"]: entry["loss"] for entry in history if "loss" in entry}


@pytest.mark.slow
def test_a_killed_run_resumes_on_the_same_loss_curve(script, tmp_path):
    subprocess.run([sys.executable, *script, str(tmp_path / "whole"), "fresh"], check=True)
    killed = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, *script, str(killed), "fresh"])
    deadline = time.monotonic() + 300
    while not (killed / "checkpoint-20").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    subprocess.run([sys.executable, *script, str(killed), "resume"], check=True)
    whole, resumed = saved_losses(tmp_path / "whole"), saved_losses(killed)
    assert len(whole) == 72
    assert resumed == pytest.approx(whole, abs=1e-6)


@pytest.mark.slow
def test_two_processes_train_together(script, tmp_path):
    # `--multi_gpu` makes accelerate start two processes; the variable below makes them CPU processes over gloo.
    launch = "accelerate.commands.launch --multi_gpu --num_processes 2 --num_machines 1"
    launch += " --mixed_precision no --dynamo_backend no"
    command = [sys.executable, "-m", *launch.split()]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    subprocess.run([*command, *script, str(tmp_path / "two"), "fresh"], check=True, env=environment)
    curve = saved_losses(tmp_path / "two")
    assert len(curve) == 36  # half as many steps: each takes the rows of both
    assert curve[36] < curve[1]
    TGDIForRelationExtraction.from_pretrained(tmp_path / "two")


def test_both_orders_and_controls_are_trained_on(corpus, tmp_path):
    trainer = trainer_for(corpus, tmp_path / "both", {"direction_balanced": True})
    assert len(trainer.train_dataset) == 192 and len(trainer.eval_dataset) == 32
    set_seed(0)
    model, processor = tiny_tgdi(corpus)
    arguments = training_arguments(tmp_path / "control", **QUICK)
    trainer = make_trainer(model, processor, corpus, arguments, control="text-only")
    assert all(trainer.train_dataset[i]["image"] is None for i in range(96))
    assert all(trainer.eval_dataset[i]["caption"] is None for i in range(32))
    trainer.train()
    assert len(losses(trainer)) == 6


def test_inverse_relations_are_trained_on(corpus, tmp_path):
    names = corpus["train"].features["label"].names
    one_way = count_inverses(names)
    assert 0 < one_way < len(names)
    options = {"direction_balanced": True, "inverse_labels": one_way}
    trainer = trainer_for(corpus, tmp_path, options, num_train_epochs=4)
    assert max(trainer.train_dataset["label"][:]) >= len(names)
    trainer.train()
    assert losses(trainer)[-1] < losses(trainer)[0]
    assert trainer.predict(undecoded(corpus["test"])).predictions.shape == (32, len(names))
    assert trainer.state.best_metric is not None
    with pytest.raises(ValueError, match=f"and {one_way - 1} inverse relations; .*, {one_way} of them with an inverse"):
        trainer_for(corpus, tmp_path, {**options, "inverse_labels": one_way - 1})
    fewer = DatasetDict({
        split: rows.filter(lambda row: row["label"] < 8).cast_column("label", ClassLabel(names=names[:8]))
        for split, rows in corpus.items()
    })  # fmt: skip
    with pytest.raises(ValueError, match="Build a model for this data"):  # the inverses would have the ids of others
        make_trainer(trainer.model, trainer.processing_class, fewer, training_arguments(tmp_path, **QUICK))
    with pytest.raises(ValueError, match="With `compute_loss_func` .* without the term that `inverse_labels` adds"):
        make_trainer(
            trainer.model, trainer.processing_class, corpus, training_arguments(tmp_path, **QUICK),
            compute_loss_func=lambda *_: 0,
        )  # fmt: skip
    with pytest.raises(ValueError, match="without the term that `inverse_labels` adds"):
        trainer_for(corpus, tmp_path, options, label_smoothing_factor=0.1)


def test_models_of_both_orders_learn_inverses_unless_told_otherwise(encoders):
    names = ["None", "/per/per/peer", "/per/org/member_of", "/loc/loc/contain"]
    for options, expected in (({}, 2), ({"inverse_labels": 0}, 0), ({"symmetric_relations": ["contain"]}, 2)):
        model, _ = build_model(names, *encoders, direction_balanced=True, **options)
        assert model.config.inverse_labels == expected
        assert model.classifier.out_features == len(names) + expected
    assert build_model(names, *encoders)[0].config.inverse_labels == 0
    with pytest.raises(ValueError, match="Which relations are symmetric"):
        build_model(["None", "friend of"], "missing", "missing", direction_balanced=True)


def test_only_the_same_run_is_resumed(tmp_path):
    claim(tmp_path / "run", {"seed": 0, "options": {"use_caption": True}, "pair": (1, 2)})
    checkpoint = tmp_path / "run" / "checkpoint-1"
    checkpoint.mkdir()
    (checkpoint / "trainer_state.json").write_text('{"global_step": 1}')
    claim(tmp_path / "run", {"seed": 0, "options": {"use_caption": True}, "pair": (1, 2)})
    other = {"seed": 1, "options": {"use_caption": False}, "pair": (1, 2)}
    with pytest.raises(ValueError, match="checkpoints of a run with another seed and options"):
        claim(tmp_path / "run", other)
    shutil.rmtree(checkpoint)
    claim(tmp_path / "run", other)  # begins anew
    checkpoint.mkdir()
    (checkpoint / "trainer_state.json").write_text('{"global_step": 1}')
    with pytest.raises(ValueError, match="with another pair. Resume that run"):
        claim(tmp_path / "run", {"seed": 1, "options": {"use_caption": False}})
    (tmp_path / "run" / "run.json").unlink()
    with pytest.raises(ValueError, match="another seed and options and pair"):
        claim(tmp_path / "run", other)


def test_rows_are_known_by_all_that_a_model_is_shown(corpus, tmp_path):
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

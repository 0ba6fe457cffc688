import math

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from transformers import set_seed

from tgdi_hf import TGDIConfig, TGDIProcessor
from tgdi_hf.data.dataset_columns import undecoded
from tgdi_hf.data.entity_order import count_inverses, estimate_tail_first_bias
from tgdi_hf.demo.tiny_model import tiny_tgdi
from tgdi_hf.training.recipe import training_arguments
from tgdi_hf.training.trainer import make_trainer
from tgdi_hf.training.training_rows import relation_names

from .row_kinds import KINDS
from .trainers import PLAIN, QUICK, losses, trainer_for


def test_rows_of_similar_length_share_a_batch(corpus, tmp_path):
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


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_rows_trains_and_is_scored(corpus, tiny, tmp_path, kind):
    data = {split: KINDS[kind](corpus[split].select(range(16))) for split in ("train", "validation")}
    arguments = training_arguments(tmp_path, max_steps=2, **PLAIN)
    trainer = make_trainer(*tiny, data, arguments)
    trainer.train()
    assert trainer.state.global_step == 2
    metrics = trainer.evaluate()
    assert 0 <= metrics["eval_f1"] <= 1
    names = corpus["train"].features["label"].names
    assert relation_names(data, trainer.model.config) == (names, False)


@pytest.mark.parametrize("kind", KINDS)
def test_images_of_every_kind_of_rows_are_swapped(corpus, tiny, tmp_path, kind):
    rows = corpus["train"].select(range(16))
    arguments = training_arguments(tmp_path, max_steps=1, per_device_train_batch_size=16, **PLAIN)
    trainer = make_trainer(*tiny, {"train": KINDS[kind](rows), "validation": rows}, arguments, swap_images=0.5)
    (batch,) = trainer.get_train_dataloader()
    with_image = sum(image is not None for image in undecoded(rows)["image"])
    assert int((batch["image_matches"] == 0).sum()) in (with_image // 2, with_image // 2 + 1)
    assert "image_matches" not in next(iter(trainer.get_eval_dataloader()))
    trainer.train()
    assert trainer.state.global_step == 1


@pytest.mark.parametrize(("swap_images", "weight", "expected"), [(0.5, 1.0, True), (0.5, 0.0, False), (0, 1.0, False)])
def test_a_gate_is_a_probability_after_swaps_and_matching_loss(corpus, tmp_path, swap_images, weight, expected):
    trainer = trainer_for(corpus, tmp_path, {"matching_loss_weight": weight}, swap_images=swap_images)
    assert trainer.model.config.gate_is_probability is expected
    trainer.model.config.gate_is_probability, trainer.model.config.gate_calibration_error = True, 0.1
    arguments = training_arguments(tmp_path, **PLAIN)
    make_trainer(trainer.model, trainer.processing_class, {"validation": corpus["validation"]}, arguments)
    assert trainer.model.config.gate_is_probability  # only scored
    make_trainer(trainer.model, trainer.processing_class, corpus, arguments)
    assert not trainer.model.config.gate_is_probability and trainer.model.config.gate_calibration_error is None


def test_both_rows_of_a_pair_are_swapped_independently(corpus, tiny, tmp_path):
    rows = {"train": corpus["train"].filter(lambda row: row["image"] is not None).select(range(16))}
    tiny[0].config.direction_balanced = True
    arguments = training_arguments(tmp_path, per_device_train_batch_size=32, **PLAIN)
    trainer = make_trainer(*tiny, rows, arguments, swap_images=0.5)
    both = trainer.train_dataset.__getitems__(range(len(trainer.train_dataset)))
    listed, swapped = both[:16], both[16:32]
    pairs = [(one["image_matches"], other["image_matches"]) for one, other in zip(listed, swapped)]
    assert any(one != other for one, other in pairs)


def test_a_stream_of_rows_trains(corpus, tmp_path):
    set_seed(0)
    model, processor = tiny_tgdi(corpus)
    stream = {"train": corpus["train"].to_iterable_dataset()}
    trainer = make_trainer(model, processor, stream, training_arguments(tmp_path, max_steps=3, **PLAIN))
    trainer.train()
    assert len(losses(trainer)) == 3


@pytest.mark.parametrize("kind", ["mapped stream", "list", "torch dataset", "generator"])
def test_unnamed_relations_are_refused(corpus, tiny, tmp_path, kind):
    model, processor = tiny
    model.config.id2label = {i: f"LABEL_{i}" for i in range(9)}
    data = {"train": KINDS[kind](corpus["train"].select(range(4)))}
    with pytest.raises(ValueError, match=r"Nothing names the relations.*stream\.cast\(features\)"):
        make_trainer(model, processor, data, training_arguments(tmp_path, **PLAIN))
    declared = Features({"text": Value("string"), "label": ClassLabel(names=["None", "a"])})
    stream = Dataset.from_dict({"text": ["a"], "label": [0]}).to_iterable_dataset().map(lambda row: row).cast(declared)
    make_trainer(model, processor, {"train": stream}, training_arguments(tmp_path, max_steps=1, **PLAIN))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Dataset.from_dict({"text": ["a"]}), r"must be a mapping of splits, such as \{'train'.*found a Dataset"),
        ([{"text": "a"}], "found a list"),
        ({}, "found an empty mapping"),
        ({"train": Dataset.from_dict({"text": ["a"]})}, "'train' has no column 'label', only text.*with_class_labels"),
        ({"train": Dataset.from_dict({"label": ["None"]})}, "'label' of the split 'train' .*string.*with_class_labels"),
        ({"train": Dataset.from_dict({"label": [0.5]})}, "float64.*expected a `ClassLabel`"),
    ],
)  # fmt: skip
def test_data_of_another_type_is_refused(tiny, tmp_path, data, message):
    with pytest.raises(ValueError, match=message):
        make_trainer(*tiny, data, training_arguments(tmp_path, **PLAIN))


def test_numeric_labels_take_the_names_of_the_model(corpus, tiny, tmp_path):
    numbers = corpus["train"].select(range(4)).cast_column("label", Value("int64"))
    trainer = make_trainer(*tiny, {"train": numbers, "validation": numbers}, training_arguments(tmp_path, **PLAIN))
    assert 0 <= trainer.evaluate()["eval_f1"] <= 1
    assert relation_names({"train": numbers}, tiny[0].config) == (
        corpus["train"].features["label"].names,
        False,
    )


def test_training_uses_both_orders_and_perturbed_rows(corpus, tmp_path):
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


def test_training_uses_inverse_relations(corpus, tmp_path):
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


@pytest.mark.parametrize("kind", ["mapped stream", "generator", "list", "torch dataset"])
def test_rows_without_declared_features_are_passed_on_as_they_are(corpus, kind):
    rows = KINDS[kind](corpus["train"].select(range(4)))
    assert undecoded(rows) is rows


def test_the_order_of_unrelated_pairs_is_counted_in_the_training_rows(corpus, tmp_path):
    model = trainer_for(corpus, tmp_path).model
    counted = estimate_tail_first_bias(corpus["train"], corpus["train"].features["label"].names)
    assert model.config.tail_first_bias == counted != 0
    model.save_pretrained(tmp_path / "saved")
    assert TGDIConfig.from_pretrained(tmp_path / "saved").tail_first_bias == counted
    # It describes the labels that it was counted with.
    assert TGDIConfig.from_pretrained(tmp_path / "saved", num_labels=2).tail_first_bias is None
    both = trainer_for(corpus, tmp_path, {"direction_balanced": True})
    assert both.model.config.tail_first_bias is None
    # A stream cannot be counted before training, so a value from elsewhere remains.
    for given in (None, 1.5):
        model, processor = tiny_tgdi(corpus, tail_first_bias=given)
        stream = {"train": corpus["train"].to_iterable_dataset()}
        make_trainer(model, processor, stream, training_arguments(tmp_path, max_steps=1, **PLAIN))
        assert model.config.tail_first_bias == given


def test_label_frequencies_are_counted_where_the_loss_reads_them(corpus, tmp_path):
    rows = corpus["train"].select(range(20))
    labels = rows["label"][:]
    for balanced in (False, True):
        names = rows.features["label"].names
        inverses = count_inverses(names, None) if balanced else 0
        model, processor = tiny_tgdi(corpus, logit_adjustment=1.0, direction_balanced=balanced, inverse_labels=inverses)
        make_trainer(model, processor, {"train": rows}, training_arguments(tmp_path, **PLAIN))
        priors = model.config.label_log_priors
        assert len(priors) == len(names) + inverses
        assert sum(math.exp(prior) for prior in priors) == pytest.approx(1)
        if not balanced:
            expected = [(labels.count(i) + 1) / (20 + len(names)) for i in range(len(names))]
            assert [math.exp(prior) for prior in priors] == pytest.approx(expected)
    listed, _ = tiny_tgdi(corpus, logit_adjustment=1.0)
    make_trainer(listed, processor, {"train": [{"label": i} for i in labels]}, training_arguments(tmp_path, **PLAIN))
    assert [math.exp(prior) for prior in listed.config.label_log_priors] == pytest.approx(expected)
    with_ignored = {"train": [{"label": i} for i in [*labels, -100, -100]]}  # rows that the loss ignores
    make_trainer(listed, processor, with_ignored, training_arguments(tmp_path, **PLAIN))
    assert [math.exp(prior) for prior in listed.config.label_log_priors] == pytest.approx(expected)
    plain, _ = tiny_tgdi(corpus)
    make_trainer(plain, processor, {"train": rows}, training_arguments(tmp_path, **PLAIN))
    assert plain.config.label_log_priors is None


def test_label_frequencies_of_a_stream_have_to_be_given(corpus, tmp_path):
    model, processor = tiny_tgdi(corpus, logit_adjustment=1.0)
    stream, arguments = (
        {"train": corpus["train"].to_iterable_dataset()},
        training_arguments(tmp_path, max_steps=1, **PLAIN),
    )
    with pytest.raises(ValueError, match=r"cannot be counted in a IterableDataset before training: set"):
        make_trainer(model, processor, stream, arguments)
    given = [math.log(1 / model.config.num_labels)] * model.config.num_labels
    model.config.label_log_priors = given
    make_trainer(model, processor, stream, arguments).train()
    assert model.config.label_log_priors == given

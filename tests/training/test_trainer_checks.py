import pytest
from transformers import TrainingArguments

from tgdi_hf import TGDICollator
from tgdi_hf.demo.tiny_model import tiny_tgdi
from tgdi_hf.training.recipe import training_arguments
from tgdi_hf.training.trainer import make_trainer

from .row_kinds import KINDS
from .trainers import PLAIN, trainer_for


@pytest.mark.parametrize(
    "name", ["matching_loss_weight", "text_loss_weight", "logit_adjustment", "branch_consistency_weight"]
)
def test_label_smoothing_is_refused_with_additional_losses(name, corpus, tmp_path):
    trainer_for(corpus, tmp_path, label_smoothing_factor=0.1)
    with pytest.raises(ValueError, match=f"without the term that `{name}` adds"):
        trainer_for(corpus, tmp_path, {name: 1.0}, label_smoothing_factor=0.1)


@pytest.mark.parametrize("kind", ["stream", "mapped stream", "list", "torch dataset"])
def test_options_that_require_all_rows_refuse_other_rows(corpus, tiny, tmp_path, kind):
    data = {"train": KINDS[kind](corpus["train"].select(range(4)))}
    with pytest.raises(ValueError, match=r"A control perturbs the rows of a `datasets\.Dataset`; the split 'train'"):
        make_trainer(*tiny, data, training_arguments(tmp_path, **PLAIN), control="text-only")
    with pytest.raises(ValueError, match="'group_by_length'` requires the lengths of all rows"):
        make_trainer(*tiny, data, training_arguments(tmp_path, train_sampling_strategy="group_by_length", **PLAIN))
    tiny[0].config.direction_balanced = True
    with pytest.raises(ValueError, match=r"Both orders need the rows of a `datasets\.Dataset`"):
        make_trainer(*tiny, data, training_arguments(tmp_path, **PLAIN))


@pytest.mark.parametrize(
    ("share", "options", "message"),
    [
        (1.5, {}, r"`swap_images` is 1\.5; expected the share of rows"),
        (True, {}, "`swap_images` is True; expected the share of rows"),
        (0.25, {"per_device_train_batch_size": 1}, "`per_device_train_batch_size` is 1; expected 2 or more"),
        (0.25, {"train_sampling_strategy": "group_by_length"}, "requires the captions as they are"),
    ],
)
def test_images_that_cannot_be_swapped_are_refused(corpus, tiny, tmp_path, share, options, message):
    with pytest.raises(ValueError, match=message):
        make_trainer(*tiny, corpus, training_arguments(tmp_path, **{**PLAIN, **options}), swap_images=share)


def test_dropping_raw_columns_is_refused(corpus, tiny, tmp_path):
    with pytest.raises(ValueError, match="`remove_unused_columns=False`"):
        make_trainer(*tiny, corpus, TrainingArguments(str(tmp_path)))
    for row in ({}, {"label": 1}, {"labels": 1, "label_ids": 2}):
        with pytest.raises(ValueError, match="neither `text` nor `words`, only .*`remove_unused_columns=False`"):
            TGDICollator(tiny[1])([row])
    with pytest.raises(ValueError, match=r"only head, tail\.$"):
        TGDICollator(tiny[1])([{"head": "a", "tail": "b"}])


def test_data_parallel_batches_do_not_share_images(corpus, tmp_path):
    model, processor = tiny_tgdi(corpus)
    arguments = training_arguments(tmp_path)
    assert make_trainer(model, processor, corpus, arguments).data_collator.share_images
    assert arguments.accelerator_config.dispatch_batches is False
    arguments._n_gpu = 2
    assert not make_trainer(model, processor, corpus, arguments).data_collator.share_images


@pytest.mark.parametrize(
    ("options", "stream", "shares"),
    [
        ({"dispatch_batches": False}, False, True),
        ({"dispatch_batches": False}, True, True),
        ({}, False, True),
        ({}, True, False),  # accelerate dispatches streams unless it is told otherwise
        ({"dispatch_batches": True}, False, False),
        ({"split_batches": True}, False, False),
        ({"split_batches": True, "dispatch_batches": True}, True, False),
    ],
)
def test_batches_split_by_accelerate_do_not_share_images(corpus, tiny, tmp_path, options, stream, shares):
    data = {"train": KINDS["stream" if stream else "dataset"](corpus["train"].select(range(8)))}
    arguments = training_arguments(tmp_path, accelerator_config=options, **{**PLAIN, "max_steps": 1})
    trainer = make_trainer(*tiny, data, arguments)
    assert trainer.data_collator.share_images is shares
    trainer.train()


@pytest.mark.parametrize("options", [{}, {"save_strategy": "best", "load_best_model_at_end": False}])
@pytest.mark.parametrize("name", ["macro", "eval_F1", "f1_score"])
def test_selection_by_an_unknown_metric_is_refused(corpus, tiny, tmp_path, name, options):
    arguments = training_arguments(tmp_path, metric_for_best_model=name, **options)
    with pytest.raises(ValueError, match=f"`metric_for_best_model` is '{name}'; expected f1, .*`compute_metrics`"):
        make_trainer(*tiny, corpus, arguments)


@pytest.mark.parametrize("name", ["f1", "eval_recall", "loss"])
def test_selection_by_a_known_metric_is_accepted(corpus, tiny, tmp_path, name):
    make_trainer(*tiny, corpus, training_arguments(tmp_path, metric_for_best_model=name))


def test_a_processor_that_reads_objects_in_another_way_is_refused(corpus, tiny, tmp_path):
    tiny[0].config.object_features = "regions"
    with pytest.raises(ValueError, match=r"model has `object_features='regions'`, but the processor has 'crops'"):
        make_trainer(*tiny, corpus, training_arguments(tmp_path, **PLAIN))

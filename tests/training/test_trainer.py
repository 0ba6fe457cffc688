import pytest
from transformers import Trainer, set_seed

from tgdi_hf import TGDICollator
from tgdi_hf.data.labels import with_class_labels
from tgdi_hf.demo.tiny_model import tiny_tgdi
from tgdi_hf.training.recipe import training_arguments
from tgdi_hf.training.trainer import make_trainer

from .trainers import QUICK, trainer_for


def test_the_trainer_is_a_plain_trainer(corpus, tmp_path):
    assert type(trainer_for(corpus, tmp_path)) is Trainer


def test_without_a_negative_label_every_relation_counts(corpus, tmp_path):
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


def test_arguments_of_trainer_replace_the_defaults(corpus, tiny, tmp_path):
    arguments = training_arguments(tmp_path, metric_for_best_model="macro", max_steps=1, dataloader_num_workers=0)
    trainer = make_trainer(*tiny, corpus, arguments, compute_metrics=lambda evaluation: {"macro": 0.5})
    assert trainer.evaluate()["eval_macro"] == 0.5
    collator = TGDICollator(tiny[1], share_images=False)
    assert make_trainer(*tiny, corpus, training_arguments(tmp_path), data_collator=collator).data_collator is collator
    with pytest.raises(ValueError, match="creates an optimizer, but another one is passed"):
        make_trainer(*tiny, corpus, training_arguments(tmp_path), 1e-3, optimizers=(None, None))

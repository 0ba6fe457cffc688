"""Trainers of tiny models, and what they log."""

from transformers import set_seed

from tgdi_hf.demo.tiny_model import tiny_tgdi
from tgdi_hf.training.recipe import training_arguments
from tgdi_hf.training.trainer import make_trainer

QUICK = dict(num_train_epochs=1, learning_rate=1e-3, dataloader_num_workers=0, logging_steps=1, disable_tqdm=True)


# Nothing but steps.
PLAIN = dict(QUICK, eval_strategy="no", save_strategy="no", load_best_model_at_end=False)


def trainer_for(corpus, folder, options=None, swap_images=0.0, **arguments):
    set_seed(0)
    model, processor = tiny_tgdi(corpus, **(options or {}))
    arguments = training_arguments(folder, **{**QUICK, **arguments})
    return make_trainer(model, processor, corpus, arguments, swap_images=swap_images)


def losses(trainer):
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]

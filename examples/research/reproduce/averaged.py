"""Averaged weights over the end of training, beside the weights of the best epoch."""

from copy import deepcopy
from pathlib import Path

import torch
from safetensors.torch import load_model, save_model
from transformers import TrainerCallback

# Most of the weight lies on the last 1 / (1 + ETA) of the steps, whatever their number.
ETA = 3


@torch.no_grad()
def step_average(averaged: list[torch.Tensor], current: list[torch.Tensor], step: int) -> None:
    """Polynomial-decay averaging (Shamir and Zhang, 2013, Sect. 4): updates the average in place with the weights after
    a step, counted from 1."""
    torch._foreach_lerp_(averaged, current, (ETA + 1) / (step + ETA))


class AveragedWeights(TrainerCallback):
    r"""
    Averages the weights of a model during training; `Trainer` neither scores nor saves the average.

    With one checkpoint per epoch, the default of `training_arguments`, a resumed run has the same average as an
    uninterrupted one.
    """

    def __init__(self):
        self.model: torch.nn.Module | None = None

    @staticmethod
    def file(args, state) -> Path:
        return Path(args.output_dir, f"averaged-{state.global_step}.safetensors")

    def on_train_begin(self, args, state, control, model, **kwargs):
        self.model = deepcopy(model)
        if state.global_step:
            load_model(self.model, self.file(args, state))

    def on_step_end(self, args, state, control, model, **kwargs):
        step_average(list(self.model.parameters()), list(model.parameters()), state.global_step)
        for kept, current in zip(self.model.buffers(), model.buffers()):
            kept.copy_(current)  # such as batch-norm statistics, which are running averages already

    def on_epoch_end(self, args, state, control, **kwargs):
        # Before the checkpoint is written, so that every complete checkpoint has its average.
        if state.is_world_process_zero:
            save_model(self.model, str(self.file(args, state)))

    def on_save(self, args, state, control, **kwargs):
        for file in Path(args.output_dir).glob("averaged-*.safetensors"):
            if file != self.file(args, state) and state.is_world_process_zero:
                file.unlink()

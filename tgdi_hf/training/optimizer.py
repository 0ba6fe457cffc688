"""The optimizer of a model whose new modules have a learning rate of their own."""

from typing import cast

import torch
from transformers import PreTrainedModel, Trainer, TrainingArguments

# Parts of the names of parameters that start from pretrained weights.
PRETRAINED = ("text_encoder.", "vision_tower.", "text_oriented.")


def optimizer_for(
    model: PreTrainedModel, arguments: TrainingArguments, fusion_learning_rate: float
) -> torch.optim.Optimizer:
    r"""
    The optimizer that `Trainer` would create, with a separate learning rate for modules that start from random weights.

    Args:
        model: `TGDIForRelationExtraction`.
        arguments: The kind of optimizer (`optim`); the learning rate of the encoders and of the text-oriented
            interaction, which is initialised from the text encoder; and the weight decay, which applies to the
            parameters of `Trainer.get_decay_parameter_names`: all but biases and norms.
        fusion_learning_rate: The learning rate of all other parameters.

    Raises:
        ValueError: An optimizer of this kind forms its own parameter groups.
    """
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    decaying = set(Trainer.get_decay_parameter_names(cast(Trainer, None), model))  # which reads the model alone
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            from_pretrained = any(part in name for part in PRETRAINED)
            rate = arguments.learning_rate if from_pretrained else fusion_learning_rate
            decay = arguments.weight_decay if name in decaying else 0.0
            groups.setdefault((rate, decay), []).append(parameter)
    optimizer_class, options = Trainer.get_optimizer_cls_and_kwargs(arguments, model)
    if {"params", "model", "optimizer_dict"} & options.keys():
        raise ValueError(
            f"`optim={str(arguments.optim)!r}` forms its own parameter groups, so it does not support a separate "
            "learning rate for some of them. Omit `fusion_learning_rate`, or choose another optimizer, such as "
            "'adamw_torch'."
        )
    return optimizer_class(
        [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in groups.items()], **options
    )

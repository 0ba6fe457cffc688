"""Which hidden states and attention weights a forward pass returns."""

from operator import index
from typing import Any, TypedDict

import torch

from .attention_support import check_implementation_of


class OutputOptions(TypedDict, total=False):
    r"""
    The keyword arguments that request outputs from both interaction passes.

    Args:
        output_hidden_states (`bool` or `list[int]`): As `selected_layers` returns it.
        output_attentions (`bool`): Whether to return the attention weights of all layers.
    """

    output_hidden_states: bool | list[int]
    output_attentions: bool


def output_options(config, output_hidden_states, output_attentions, implementation: str) -> OutputOptions:
    r"""
    Resolves the arguments of `forward` that request outputs.

    Args:
        config (`TGDIConfig`): Supplies the default for each argument that is `None`.
        output_hidden_states (`bool`, `int` or sequence of `int`, *optional*): See `selected_layers`.
        output_attentions (`bool`, *optional*): Whether to return the attention weights of all layers.
        implementation (`str`): The attention implementation of the text encoder.

    Raises:
        ValueError: An argument has another type, or attention weights are requested of an implementation without any.
    """
    if output_hidden_states is None:
        output_hidden_states = config.output_hidden_states
    if output_attentions is None:
        output_attentions = config.output_attentions or False
    if not isinstance(output_attentions, bool):
        raise ValueError(
            f"`output_attentions` is {output_attentions!r}; expected True or False: the attention weights of all "
            "layers, or none."
        )
    # The implementation in a configuration can be changed without the model's knowledge.
    check_implementation_of("text_config", implementation)
    if output_attentions and implementation != "eager":
        raise ValueError(
            f"Attention weights exist only in eager attention; this model runs {implementation!r}. Call "
            "`model.set_attn_implementation('eager')`, or omit `output_attentions`."
        )
    states = selected_layers(output_hidden_states, config.text_config.num_hidden_layers + 1)
    return {"output_hidden_states": states, "output_attentions": output_attentions}


def selected_layers(output_hidden_states: Any, num_states: int) -> bool | list[int]:
    r"""
    Normalises `output_hidden_states` to the form that all encoders of a model accept.

    Args:
        output_hidden_states (`bool`, `int` or sequence of `int`, *optional*): All or no hidden states, or the indices
            of some; negative indices count from the end.
        num_states (`int`): The number of hidden states of the deepest encoder.

    Returns:
        `bool` or `list[int]`: Indices of hidden states, never an empty list.

    Raises:
        ValueError: Another type, or an index that is out of range for the deepest encoder.
    """
    if output_hidden_states is None or isinstance(output_hidden_states, bool):
        return bool(output_hidden_states)
    try:
        several = isinstance(output_hidden_states, (list, tuple, range, set))
        states = [_state_index(state) for state in (output_hidden_states if several else [output_hidden_states])]
    except TypeError:
        raise ValueError(
            f"`output_hidden_states` is {output_hidden_states!r}; expected True, False, the index of a hidden state, "
            "or a list of indices."
        ) from None
    for state in states:
        if not -num_states <= state < num_states:
            raise ValueError(
                f"`output_hidden_states` selects hidden state {state}; the text encoder has {num_states}: expected "
                f"{-num_states} to {num_states - 1}."
            )
    return states or False


def _state_index(state) -> int:
    if isinstance(state, bool):
        raise TypeError("True and False are not indices of hidden states.")
    return index(state)


def keep_selected(
    states: tuple[torch.Tensor, ...] | None, selection: bool | list[int]
) -> tuple[torch.Tensor | None, ...] | None:
    r"""
    Args:
        states (`tuple` of `torch.Tensor`, *optional*): All hidden states of an encoder, if any is requested.
        selection (`bool` or `list[int]`): As `selected_layers` returns it.

    Returns:
        `tuple` or `None`: All states, or `None` in place of each state that is not selected, as transformers returns
        them. Indices out of range for `states` select nothing.
    """
    if states is None or isinstance(selection, bool):
        return states if selection else None
    kept = {number % len(states) for number in selection if -len(states) <= number < len(states)}
    return tuple(state if number in kept else None for number, state in enumerate(states))

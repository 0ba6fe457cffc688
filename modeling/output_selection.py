"""Which hidden states a caller asks for: all of them, none, or those of some layers."""

from operator import index


def selected_layers(output_hidden_states, num_states: int) -> bool | list[int]:
    r"""
    Brings the forms of `output_hidden_states` to one, for all encoders of a model.

    Args:
        output_hidden_states (`bool`, `int` or sequence of `int`): All or none, or the states that are wanted;
            negative numbers count from the end.
        num_states (`int`): How many states the deepest encoder has.

    Returns:
        `bool` or `list[int]`: Numbers of states, never an empty list.

    Raises:
        ValueError: Something else, or a state that not even the deepest encoder has.
    """
    if output_hidden_states is None or isinstance(output_hidden_states, bool):
        return bool(output_hidden_states)
    try:
        several = isinstance(output_hidden_states, (list, tuple, range, set))
        states = [_number(state) for state in (output_hidden_states if several else [output_hidden_states])]
    except TypeError:
        raise ValueError(
            f"`output_hidden_states` is {output_hidden_states!r}; expected True, False, the number of a hidden state, "
            "or a list of such numbers."
        ) from None
    for state in states:
        if not -num_states <= state < num_states:
            raise ValueError(
                f"`output_hidden_states` selects hidden state {state}; the text encoder has {num_states}: expected "
                f"{-num_states} to {num_states - 1}."
            )
    return states or False


def _number(state) -> int:
    if isinstance(state, bool):
        raise TypeError("True and False are no numbers of hidden states.")
    return index(state)


def keep_selected(states: tuple, selection: bool | list[int]) -> tuple | None:
    r"""
    Args:
        states (`tuple`): All hidden states of an encoder.
        selection (`bool` or `list[int]`): As `selected_layers` returns it.

    Returns:
        `tuple` or `None`: As transformers returns them: `None` in the place of each state that was not selected. A
        number beyond `states` selects nothing.
    """
    if isinstance(selection, bool):
        return states if selection else None
    kept = {number % len(states) for number in selection if -len(states) <= number < len(states)}
    return tuple(state if number in kept else None for number, state in enumerate(states))

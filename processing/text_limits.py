"""The longest text of a tokenizer and of a text encoder, in tokens."""

from typing import Any

# Tokenizers without a limit of their own report an astronomical one.
DEFAULT_MAX_LENGTH, NO_LIMIT = 512, 10**6


def default_limit(tokenizer: Any) -> int:
    """The longest text with its caption if no `max_length` is set: the tokenizer's limit, or 512."""
    limit = tokenizer.model_max_length
    return limit if limit and limit < NO_LIMIT else DEFAULT_MAX_LENGTH


def checked_limit(max_length: int | None, tokenizer: Any, config: Any, name: Any) -> int | None:
    r"""
    Args:
        max_length: `max_length` of a new processor.
        tokenizer: Its tokenizer.
        config: Configuration of the text encoder.
        name: The checkpoint of the text encoder, for messages.

    Returns:
        `max_length`; or if it is `None` the number of positions of the text encoder, where the tokenizer allows more.

    Raises:
        ValueError: The text encoder has fewer positions, or it is another kind of model.
    """
    if not hasattr(config, "max_position_embeddings"):
        advice = " Pass the text encoder that it was built from." if config.model_type == "tgdi" else ""
        raise ValueError(
            f"{name} is a model of type {config.model_type!r}; expected a text encoder such as BERT.{advice}"
        )
    positions = position_limit(config)
    if (max_length or 0) > positions:
        raise ValueError(
            f"`max_length` is {max_length}; the text encoder in {name} has positions for {positions} tokens."
        )
    return positions if max_length is None and positions < default_limit(tokenizer) else max_length


def position_limit(config: Any) -> int:
    """
    The number of tokens that a text encoder has positions for; RoBERTa and its relatives reserve the positions up to
    the padding token's id. `TGDIConfig.max_text_length` is the same for a whole model.
    """
    offset = config.pad_token_id + 1 if config.model_type in ("roberta", "xlm-roberta", "camembert") else 0
    return config.max_position_embeddings - offset

"""The longest text of a tokenizer and of a text encoder, in tokens."""

from typing import Any

# Tokenizers without a limit of their own report an astronomical one.
DEFAULT_MAX_LENGTH, NO_LIMIT = 512, 10**6


def default_limit(tokenizer: Any) -> int:
    """The longest text with its caption if no `max_length` is set: the tokenizer's limit, or 512."""
    limit = tokenizer.model_max_length
    return limit if limit and limit < NO_LIMIT else DEFAULT_MAX_LENGTH


def position_limit(config: Any) -> int:
    """
    The number of tokens that a text encoder has positions for; RoBERTa and its relatives reserve the positions up to
    the padding token's id. `TGDIConfig.max_text_length` is the same for a whole model.
    """
    offset = config.pad_token_id + 1 if config.model_type in ("roberta", "xlm-roberta", "camembert") else 0
    return config.max_position_embeddings - offset

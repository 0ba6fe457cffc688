"""The conversation that asks a vision-language model for a relation."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tgdi_hf.processing.head_and_tail import text_and_spans

INSTRUCTION = (
    "Each post below is from social media and may come with an image. Two entities, the head and the tail, are marked "
    "in its text as [head]...[/head] and [tail]...[/tail]. By the text and the image, which relation does the head "
    "have to the tail? Answer with exactly one of these names:"
)
# In place of text and mentions: a post without content, for calibration.
CONTENT_FREE = "N/A"


class Question(NamedTuple):
    r"""
    One post as the model reads it.

    Args:
        text: The question.
        image: The opened image, or `None`.
        answer: The relation, of an example; `None` where the model is asked.
    """

    text: str
    image: Any = None
    answer: str | None = None


def question_text(row: Mapping[str, Any], where: str, special_tokens: Sequence[str] = ()) -> str:
    r"""
    The text of a post with both entities marked, and their mentions.

    Args:
        row: With `text` or `words`, and `head` and `tail`.
        where: Names the row in messages.
        special_tokens: The model's control tokens; see `without_special_tokens`.

    Raises:
        InvalidPost: The post has no text, or an entity cannot be located in it.
    """
    text, spans, _ = text_and_spans(row, where)
    mentions = [without_special_tokens(text[start:end], special_tokens) for start, end in spans]
    return post_text(without_special_tokens(_marked(text, *spans), special_tokens), *mentions)


def post_text(marked: str, head: str, tail: str) -> str:
    """The lines of one question."""
    return f"Post: {marked}\nHead: {head}\nTail: {tail}\nRelation of the head to the tail?"


def _marked(text: str, head: tuple[int, int], tail: tuple[int, int]) -> str:
    """The text with markers around both spans; of nested spans, the markers of the longer one are outside."""
    marks = []
    for order, (name, (start, end)) in enumerate((("head", head), ("tail", tail))):
        length = end - start
        # At one place, closing markers precede opening ones; an opening one is outside if its span is longer, a
        # closing one if it is longer too. Equal spans nest the tail in the head.
        marks.append((start, 1, -length, order, f"[{name}]"))
        marks.append((end, 0, length, -order, f"[/{name}]"))
    parts, done = [], 0
    for place, *_, mark in sorted(marks):
        parts += [text[done:place], mark]
        done = place
    return "".join([*parts, text[done:]])


def without_special_tokens(text: str, special_tokens: Sequence[str]) -> str:
    r"""
    Splits the control tokens of a model that a post happens to contain by a space after their first character. The
    tokenizer would read them as the place of an image or the end of a turn.
    """
    for token in special_tokens:
        if len(token) > 1:
            text = text.replace(token, f"{token[0]} {token[1:]}")
    return text


def conversation(
    options: Mapping[str, str], examples: Sequence[Question], question: Question, example_images: bool = True
) -> list[dict[str, Any]]:
    r"""
    Examples with their answers, then the question, as messages of a chat template.

    The instruction is part of the first message of the user, since not every template has a system role.

    Args:
        options: The allowed relations with their descriptions, in the order in which they are listed.
        examples: Answered questions.
        question: The question.
        example_images: Whether examples have their images.

    Returns:
        Messages with `role` and `content`, a list of parts; those of images hold the opened images.
    """
    listed = "\n".join(f"- {name}: {description}" for name, description in options.items())
    before = f"{INSTRUCTION}\n{listed}\n\n"
    messages: list[dict[str, Any]] = []
    for one in (*examples, question):
        has_image = one.image is not None and (example_images or one is question)
        image = [{"type": "image", "image": one.image}] if has_image else []
        messages.append({"role": "user", "content": [*image, {"type": "text", "text": before + one.text}]})
        if one is not question:
            messages.append({"role": "assistant", "content": [{"type": "text", "text": one.answer}]})
        before = ""
    return messages

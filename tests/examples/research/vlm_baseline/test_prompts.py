import pytest

from examples.research.vlm_baseline.prompts import INSTRUCTION, Question, conversation, question_text
from tgdi_hf.processing.invalid_post import InvalidPost


def marked(text, head, tail):
    return question_text({"text": text, "head": head, "tail": tail}, "row 0").splitlines()[0]


def test_a_question_names_both_entities_and_marks_their_occurrence():
    row = {"words": ["Ann", "met", "Ann", "in", "Bath"], "head": [2, 3], "tail": [4, 5]}
    assert question_text(row, "row 0").splitlines() == [
        "Post: Ann met [head]Ann[/head] in [tail]Bath[/tail]",
        "Head: Ann",
        "Tail: Bath",
        "Relation of the head to the tail?",
    ]


@pytest.mark.parametrize(
    ("head", "tail", "expected"),
    [
        ([0, 2], [3, 5], "Post: [head]ab[/head] [tail]cd[/tail]"),
        ([3, 5], [0, 2], "Post: [tail]ab[/tail] [head]cd[/head]"),
        ([0, 5], [3, 5], "Post: [head]ab [tail]cd[/tail][/head]"),
        ([3, 5], [0, 5], "Post: [tail]ab [head]cd[/head][/tail]"),
        ([0, 2], [0, 5], "Post: [tail][head]ab[/head] cd[/tail]"),
        ([0, 5], [0, 5], "Post: [head][tail]ab cd[/tail][/head]"),
        ([0, 1], [1, 2], "Post: [head]a[/head][tail]b[/tail] cd"),
    ],
)
def test_markers_nest(head, tail, expected):
    assert marked("ab cd", head, tail) == expected


def test_control_tokens_of_the_model_are_split():
    row = {"text": "a <image> and <image><eos> b", "head": "a", "tail": "<eos> b"}
    text = question_text(row, "row 0", ["<image>", "<eos>", ">"])
    assert "<image>" not in text and "<eos>" not in text
    assert "[head]a[/head] < image> and < image>[tail]< eos> b[/tail]" in text
    assert "Tail: < eos> b" in text


def test_an_entity_that_is_not_in_the_text_is_named():
    with pytest.raises(InvalidPost, match="row 3: `tail` is 'x', which is not in the text"):
        question_text({"text": "a b", "head": "a", "tail": "x"}, "row 3")


def test_a_conversation_has_answered_examples_before_the_question():
    options = {"None": "no relation", "r": "some relation"}
    one, two = Question("one", "image 1", "r"), Question("two", None, "None")
    messages = conversation(options, [one, two], Question("three", "image 3"))
    before = f"{INSTRUCTION}\n- None: no relation\n- r: some relation\n\n"
    assert messages == [
        {"role": "user", "content": [{"type": "image", "image": "image 1"}, {"type": "text", "text": before + "one"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "r"}]},
        {"role": "user", "content": [{"type": "text", "text": "two"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "None"}]},
        {"role": "user", "content": [{"type": "image", "image": "image 3"}, {"type": "text", "text": "three"}]},
    ]
    without = conversation(options, [one], Question("three", "image 3"), example_images=False)
    assert [part["type"] for message in without for part in message["content"]] == ["text", "text", "image", "text"]
    assert conversation(options, [], Question("q")) == [
        {"role": "user", "content": [{"type": "text", "text": before + "q"}]}
    ]

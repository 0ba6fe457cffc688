"""CNN and PCNN, and their vocabulary."""

import pytest
import torch

from examples.research.baselines import build_baseline
from examples.research.baselines.convolution import frequent_words, is_word, word_tokenizer

from ...modeling.conftest import tiny_inputs
from .test_baselines import make_convolution


def test_convolution_of_a_hand_worked_text():
    model = make_convolution(piecewise=True)
    parts = [torch.arange(model.config.num_filters)[None, :, None] * 0.0 + v for v in (1.0, 3.0, 2.0, 5.0, 4.0, 9.0)]
    model.convolution = torch.nn.Identity()
    model.convolution.forward = lambda features: torch.cat(parts, dim=-1)  # six places, the last of them padding
    seen = []
    model.classifier.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    mask = torch.tensor([[1, 1, 1, 1, 1, 0]])
    model(torch.zeros(1, 6, dtype=torch.long), mask, torch.tensor([3]), torch.tensor([1]))
    # Up to the first entity 1 and 3, up to the second 2 and 5, behind it 4 (9 is padding): the greatest of each.
    assert torch.allclose(seen[0][0, ::4], torch.tensor([3.0, 5.0, 4.0]).tanh())


@pytest.mark.parametrize("piecewise", [False, True])
def test_convolution_ignores_padding(piecewise):
    model = make_convolution(piecewise=piecewise)
    inputs = {name: tiny_inputs()[name] for name in ("input_ids", "attention_mask", "head_index", "tail_index")}
    longer = {**inputs, **{name: torch.nn.functional.pad(inputs[name], (0, 5)) for name in list(inputs)[:2]}}
    torch.testing.assert_close(model(**longer).logits, model(**inputs).logits)


def test_frequent_words_are_the_vocabulary_without_a_glove_file():
    words = frequent_words(["the cat sat", "the cat ran", "Cat"])
    assert words == ["cat", "the"]
    tokenizer = word_tokenizer(words)
    assert tokenizer("The dog")["input_ids"] == tokenizer.convert_tokens_to_ids(["[CLS]", "the", "[UNK]", "[SEP]"])


def test_words_that_the_tokenizer_never_produces():
    assert [word for word in ("cat", "Cat", "café", "n't", ". . .", "#", "2018") if is_word(word)] == [
        "cat",
        "#",
        "2018",
    ]


def test_a_glove_file_gives_vectors_to_words_unseen_in_training(encoders, tmp_path):
    glove = tmp_path / "glove.2d.txt"
    glove.write_text("dog 1 2\nCat 9 9\ncat 3 4\n")
    names = ["None", "/per/per/peer"]
    model, processor = build_baseline("pcnn", names, *encoders, texts=["a cat", "a cat"], glove=str(glove))
    assert (model.config.word_vectors, model.config.word_size) == ("glove.2d.txt", 2)
    vocabulary = processor.tokenizer.get_vocab()
    assert "a" not in vocabulary  # the file's vocabulary replaces that of the texts
    assert model.words.weight[vocabulary["dog"]].tolist() == [1, 2]
    assert model.words.weight[vocabulary["cat"]].tolist() == [3, 4]
    assert len(model.words.weight) == len(processor.tokenizer) == 4 + 2 + 4  # special tokens, words, entity markers
    inputs = processor(text="dog bites cat", head=(0, 3), tail=(10, 13), return_tensors="pt")
    assert vocabulary["dog"] in inputs["input_ids"][0]
    assert model.eval()(**inputs).logits.isfinite().all()
    again = type(model.config)(**{**model.config.to_dict()})
    assert again.word_vectors == "glove.2d.txt"
    random, _ = build_baseline("pcnn", names, *encoders, texts=["a cat", "a cat"])
    assert random.config.word_vectors is None
    with pytest.raises(ValueError, match="`word_size` is 3; the word vectors have 2 numbers"):
        build_baseline("cnn", names, *encoders, glove=str(glove), word_size=3)

"""Files of word vectors."""

import pytest
import torch

from examples.research.baselines.glove import read_glove


def everything(word):
    return True


def test_words_and_vectors_in_the_order_of_the_file(tmp_path):
    file = tmp_path / "glove.txt"
    # Some files end their lines with a space, have words with spaces, or repeat a word.
    file.write_text("dog 1 2 \ncat 3 -4e-1\n. . . 5 6\ncat 7 8\nü 0 1\r\n", encoding="utf-8")
    words, vectors = read_glove(file, everything)
    assert words == ["dog", "cat", ". . .", "ü"]
    torch.testing.assert_close(vectors, torch.tensor([[1, 2], [3, -0.4], [5, 6], [0, 1]]))
    words, vectors = read_glove(file, lambda word: word == "cat")
    assert (words, vectors.shape) == (["cat"], (1, 2))


def test_the_header_of_word2vec_is_skipped(tmp_path):
    (tmp_path / "words.vec").write_text("2 3\ndog 1 2 3\ncat 4 5 6\n")
    assert read_glove(tmp_path / "words.vec", everything).words == ["dog", "cat"]


@pytest.mark.parametrize(
    ("second_line", "message"),
    [
        (b"cat 1 2", "line 2: expected a word and 3 numbers, as in the first line, found 2"),
        (b"cat 1 2 3 4", "line 2: expected a word and 3 numbers, as in the first line, found 4"),
        (b"cat 1 2 3 4 5 6 7 8", "line 2: expected a word and 3 numbers, as in the first line, found 8"),
        (b"", "line 2: expected a word and 3 numbers, as in the first line, found 0"),
        (b"cat 1 two 3", "line 2: could not convert string to float: 'two'"),
        (b"cat 1 nan 3", "line 2: expected finite numbers"),
        (b"cat\xff 1 2 3", "line 2: not UTF-8; expected a text file of word vectors, unpacked"),
    ],
)
def test_bad_lines_are_named(second_line, message, tmp_path):
    (tmp_path / "glove.txt").write_bytes(b"dog 1 2 3\n" + second_line + b"\nemu 1 2 3\n")
    with pytest.raises(ValueError, match=rf"glove.txt, {message}\.$"):
        read_glove(tmp_path / "glove.txt", everything)


def test_files_without_vectors_are_refused(tmp_path):
    (tmp_path / "glove.txt").write_text("Dog 1 2\n")
    with pytest.raises(ValueError, match="glove.txt has none of the words that the tokenizer produces"):
        read_glove(tmp_path / "glove.txt", str.islower)
    (tmp_path / "glove.txt").write_text("dog\n")
    with pytest.raises(ValueError, match="line 1: expected a word and its numbers, found 0"):
        read_glove(tmp_path / "glove.txt", everything)

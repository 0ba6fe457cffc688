import copy

import pytest
import torch

from tgdi_hf.processing.like_lengths import batches_by_length, image_rows_of, rows_of_passes, text_rows_of, token_counts


def test_tokens_of_both_passes_are_counted(processor):
    processor = copy.copy(processor)
    texts, captions = ["a b c", "a", "a \ud83d", ""], ["", "b c", "", "a"]
    assert token_counts(processor, texts, captions) == [6, 1 + 3, 4, 1]
    assert token_counts(processor, texts, captions, max_length=2) == [4, 1 + 2, 4, 1]
    processor.use_caption = False
    assert token_counts(processor, texts, captions) == [6, 2, 4, 0]


def test_batches_have_the_longest_texts_first_and_equal_lengths_in_order():
    assert batches_by_length([3, 9, 3, 5, 9], 2) == [[1, 4], [3, 0], [2]]
    assert batches_by_length([], 2) == []


@pytest.mark.parametrize(
    ("max_tokens", "passes"),
    [
        (1000, [[1, 0, 3, 2]]),
        (20, [[1, 0], [3, 2]]),  # 2 × 10 tokens; then 3 × 6 would fit
        (19, [[1], [0, 3, 2]]),
        (9, [[1], [0], [3], [2]]),  # the first two rows are too long, but must be scored
        (1, [[1], [0], [3], [2]]),
    ],
)
def test_passes_hold_as_many_rows_as_their_padded_length_allows(max_tokens, passes):
    assert rows_of_passes([6, 10, 5, 6], max_tokens) == passes


def test_rows_of_text_are_padded_to_the_longest_of_them():
    mask = torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 1]])
    inputs = {
        "input_ids": mask * torch.arange(1, 5),
        "attention_mask": mask,
        "enhanced_input_ids": torch.ones(3, 6, dtype=torch.long),
        "enhanced_attention_mask": torch.ones(3, 6, dtype=torch.long),
        "head_index": torch.tensor([0, 1, 2]),
    }
    part = text_rows_of(inputs, torch.tensor([1, 0]))
    assert part["input_ids"].tolist() == [[1, 2, 0], [1, 2, 3]]
    assert part["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1]]
    assert part["enhanced_input_ids"].shape == (2, 6)
    assert part["head_index"].tolist() == [1, 0]


def test_rows_of_images_keep_only_the_images_that_they_refer_to():
    images = {
        "vision_features": torch.arange(4.0).view(4, 1, 1),
        "image_index": torch.tensor([[0, 3], [2, 0], [1, 1]]),
        "image_mask": torch.tensor([[1, 1], [1, 1], [0, 0]]),
        "object_boxes": torch.arange(3).view(3, 1, 1),
    }
    part = image_rows_of(images, torch.tensor([1, 0]))
    assert part["vision_features"].flatten().tolist() == [0, 2, 3]
    assert part["vision_features"].flatten()[part["image_index"]].tolist() == [[2, 0], [0, 3]]
    assert part["image_mask"].tolist() == [[1, 1], [1, 1]] and part["object_boxes"].flatten().tolist() == [1, 0]
    alone = image_rows_of(images, torch.tensor([2]))
    assert alone["vision_features"].flatten().tolist() == [1] and alone["image_index"].tolist() == [[0, 0]]
    assert image_rows_of({}, torch.tensor([0])) == {}

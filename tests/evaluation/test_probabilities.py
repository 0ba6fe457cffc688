import numpy as np
import pytest
from datasets import ClassLabel, Dataset

from tgdi_hf.data.perturbed import PerturbedDataset
from tgdi_hf.evaluation.probabilities import RowsByLength, SwappedPairs, probabilities_of, rows_to_score

from .scored import QUICK


def test_probabilities_are_those_of_the_model(corpus, model, processor):
    rows, names = corpus["test"].select(range(6)), corpus["test"].features["label"].names
    probabilities = probabilities_of(model, processor, names, rows_to_score(rows, None), **QUICK)
    assert probabilities.shape == (6, len(names)) and np.allclose(probabilities.sum(axis=1), 1)
    inputs = processor(
        text=rows["text"][:], head=rows["head"][:], tail=rows["tail"][:], images=rows["image"][:],
        caption=rows["caption"][:], return_tensors="pt",
    )  # fmt: skip
    logits = model.eval()(**inputs).logits.detach().softmax(dim=-1).double().numpy()
    np.testing.assert_allclose(probabilities, logits, atol=1e-6)


@pytest.mark.parametrize("as_list", [False, True])
def test_rows_are_scored_by_length_and_returned_in_order(corpus, model, processor, as_list):
    names = corpus["test"].features["label"].names
    posts = [
        {"text": "Ann meets Bob" + " very" * words, "head": [0, 3], "tail": [10, 13], "label": 0}
        for words in (1, 7, 0, 7)
    ]
    rows = posts if as_list else Dataset.from_list(posts)
    by_length = RowsByLength(SwappedPairs(rows), processor)
    assert [by_length[i]["text"].count("very") for i in range(len(by_length))] == [7, 7, 1, 0]
    assert by_length.place.tolist() == [2, 0, 3, 1] and by_length[0]["head"] == [10, 13]
    found = probabilities_of(model, processor, names, rows, **{**QUICK, "per_device_eval_batch_size": 2})
    alone = [probabilities_of(model, processor, names, [post], **QUICK)[0] for post in posts]
    np.testing.assert_allclose(found, alone, atol=1e-6)


def test_captions_and_words_count_and_images_are_not_read(corpus, processor):
    rows = Dataset.from_list(
        [{"words": ["Ann"] * 3, "caption": None}, {"words": ["Ann"] * 2, "caption": "a man " * 9}]
    ).add_column("image", [b"no image", b"nor this"])
    assert RowsByLength(rows, processor).place.tolist() == [1, 0]
    assert len(RowsByLength([], processor)) == 0


def test_swapped_pairs_exchange_head_and_tail(corpus):
    rows = corpus["test"].select(range(3))
    swapped = SwappedPairs(rows)
    assert len(swapped) == 3
    assert (swapped[1]["head"], swapped[1]["tail"]) == (rows[1]["tail"], rows[1]["head"])
    assert swapped[1]["text"] == rows[1]["text"]


def test_perturbed_rows_have_the_label_ids_of_the_model(corpus):
    rows = corpus["test"].select(range(4))
    names = [*reversed(rows.features["label"].names)]
    labels = [len(names) - 1 - label for label in rows["label"]]
    of_model = rows.remove_columns("label").add_column("label", labels, feature=ClassLabel(names=names))
    found = rows_to_score(of_model, PerturbedDataset(rows, "text-only"))
    assert len(found) == 4
    assert [found[i]["label"] for i in range(4)] == labels and found[0]["image"] is None

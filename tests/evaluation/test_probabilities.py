import numpy as np
from datasets import ClassLabel

from tgdi_hf.data.perturbed import PerturbedDataset
from tgdi_hf.evaluation.probabilities import SwappedPairs, probabilities_of, rows_to_score

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

import io

import torch
from PIL import Image

from tgdi_hf import TGDICollator
from tgdi_hf.training import undecoded


def rows_of(dataset, number):
    return [dataset[i] for i in range(number)]


def test_batch_has_the_models_inputs_and_labels(corpus, processor, model):
    rows = rows_of(corpus["train"], 8)
    batch = TGDICollator(processor)(rows)
    assert batch["labels"].tolist() == [row["label"] for row in rows]
    assert model(**batch).logits.shape == (8, 9)
    without = TGDICollator(processor)([{k: v for k, v in row.items() if k != "label"} for row in rows])
    assert "labels" not in without


def test_what_is_not_an_input_never_reaches_the_batch(corpus, processor):
    """Relevance, ids and what is known of how a row was made: only for people and reports."""
    rows = rows_of(corpus["train"], 8)
    collate = TGDICollator(processor)
    other = [{**row, "id": "x", "relevance": 0.5, "needs_image": None, "scene": "?", "template": "?"} for row in rows]
    one, two = collate(rows), collate(other)
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    relabelled = collate([{**row, "label": 0} for row in rows])
    assert all(torch.equal(one[name], relabelled[name]) for name in one if name != "labels")


def test_each_distinct_picture_is_decoded_and_encoded_once(tmp_path, processor, model, monkeypatch):
    for name in ("a.png", "b.png"):
        Image.new("RGB", (40, 30), (name[0] == "a" and "red") or "blue").save(tmp_path / name)
    rows = [
        {"text": "Ann meets Bob", "head": (0, 3), "tail": (10, 13), "image": str(tmp_path / name)}
        for name in ("a.png", "b.png", "a.png", "a.png")
    ]
    opened = []
    original = Image.open
    monkeypatch.setattr(Image, "open", lambda source, *args: opened.append(source) or original(source, *args))
    batch = TGDICollator(processor)([*rows, {**rows[0], "image": None}])
    assert len(opened) == 2
    assert batch["pixel_values"].shape[0] == 2
    assert batch["image_index"].flatten().tolist() == [0, 1, 0, 0, 0]
    assert batch["image_mask"].flatten().tolist() == [1, 1, 1, 1, 0]
    encoded = []
    model.tgdi.vision_tower.register_forward_pre_hook(lambda module, args: encoded.append(len(args[0])))
    model(**batch)
    assert encoded == [2]


def test_undecoded_rows_give_the_same_batch(corpus, processor):
    """The dataset hands over bytes or paths, and the collator decodes: in the workers, damaged files included."""
    raw = undecoded(corpus["train"])
    assert {type(row["image"]) for row in rows_of(raw, 20)} <= {dict, type(None)}
    one, two = (TGDICollator(processor)(rows_of(d, 20)) for d in (corpus["train"], raw))
    assert all(torch.equal(one[name], two[name]) for name in two if name != "pixel_values" and name != "image_index")
    torch.testing.assert_close(
        one["pixel_values"][one["image_index"][:, 0]], two["pixel_values"][two["image_index"][:, 0]]
    )


def test_equal_bytes_are_one_picture(processor):
    file = io.BytesIO()
    Image.new("RGB", (20, 20), "green").save(file, "PNG")
    post = {"text": "Ann meets Bob", "head": (0, 3), "tail": (10, 13)}
    rows = [{**post, "image": {"bytes": bytes(bytearray(file.getvalue())), "path": None}} for _ in range(3)]
    assert TGDICollator(processor)(rows)["pixel_values"].shape[0] == 1

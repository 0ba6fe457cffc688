import io

import pytest
import torch
from PIL import Image

from tgdi_hf import TGDICollator
from tgdi_hf.data.dataset_columns import undecoded


def rows_of(dataset, number):
    return [dataset[i] for i in range(number)]


def test_a_batch_has_the_inputs_and_labels_of_the_model(corpus, processor, model):
    rows = rows_of(corpus["train"], 8)
    batch = TGDICollator(processor)(rows)
    assert batch["labels"].tolist() == [row["label"] for row in rows]
    assert model(**batch).logits.shape == (8, 9)
    without = TGDICollator(processor)([{k: v for k, v in row.items() if k != "label"} for row in rows])
    assert "labels" not in without


def test_other_columns_never_reach_the_batch(corpus, processor):
    """Relevance, ids and the origin of a row serve reports; the model must not see them."""
    rows = rows_of(corpus["train"], 8)
    collate = TGDICollator(processor)
    other = [{**row, "id": "x", "relevance": 0.5, "needs_image": None, "scene": "?", "template": "?"} for row in rows]
    one, two = collate(rows), collate(other)
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    relabelled = collate([{**row, "label": 0} for row in rows])
    assert all(torch.equal(one[name], relabelled[name]) for name in one if name != "labels")


def test_each_distinct_image_is_decoded_and_encoded_once(tmp_path, processor, model, monkeypatch):
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
    """Rows hold bytes or paths; the collator decodes them, in the dataloader's workers."""
    raw = undecoded(corpus["train"])
    assert {type(row["image"]) for row in rows_of(raw, 20)} <= {dict, type(None)}
    one, two = (TGDICollator(processor)(rows_of(d, 20)) for d in (corpus["train"], raw))
    assert all(torch.equal(one[name], two[name]) for name in two if name != "pixel_values" and name != "image_index")
    torch.testing.assert_close(
        one["pixel_values"][one["image_index"][:, 0]], two["pixel_values"][two["image_index"][:, 0]]
    )


def test_equal_bytes_are_one_image(processor):
    file = io.BytesIO()
    Image.new("RGB", (20, 20), "green").save(file, "PNG")
    post = {"text": "Ann meets Bob", "head": (0, 3), "tail": (10, 13)}
    rows = [{**post, "image": {"bytes": bytes(bytearray(file.getvalue())), "path": None}} for _ in range(3)]
    assert TGDICollator(processor)(rows)["pixel_values"].shape[0] == 1


POST = {"text": "Ann meets Bob", "head": (0, 3), "tail": (10, 13)}


def test_without_sharing_every_row_has_its_images_and_the_batch_can_be_split(corpus, processor, model):
    rows = rows_of(corpus["train"], 8)
    shared, whole = TGDICollator(processor)(rows), TGDICollator(processor, share_images=False)(rows)
    assert {len(tensor) for tensor in whole.values()} == {8}
    with torch.no_grad():
        expected = model(**shared).logits
        torch.testing.assert_close(model(**whole).logits, expected)
        halves = [
            model(**{name: tensor[part] for name, tensor in whole.items()}).logits for part in (slice(4), slice(4, 8))
        ]
        torch.testing.assert_close(torch.cat(halves), expected)


@pytest.mark.parametrize("label", [None, "None", -1, 1.0, True])
def test_invalid_labels_are_refused(processor, label):
    with pytest.raises(
        ValueError, match=rf"^row 1 of the batch \(id b7\): `label` is {label!r}; expected the id of a label"
    ):
        TGDICollator(processor)([{**POST, "label": 0}, {**POST, "label": label, "id": "b7"}])
    with pytest.raises(ValueError, match=r"^row 1 of the batch: `label` is None"):
        TGDICollator(processor)([{**POST, "label": 0}, POST])
    assert TGDICollator(processor)([{**POST, "label": -100}])["labels"].tolist() == [-100]


def test_a_row_without_text_is_refused(processor):
    with pytest.raises(ValueError, match="^row 1 of the batch has neither `text` nor `words`, only head"):
        TGDICollator(processor)([POST, {"head": (0, 1)}])


def test_error_messages_name_the_row_by_its_id_or_origin(processor):
    with pytest.raises(ValueError, match=r"^row 0 of the batch \(id 42\): the span of `head`"):
        TGDICollator(processor)([{**POST, "head": (3, 0), "id": 42}])
    with pytest.raises(ValueError, match=r"^posts.jsonl, line 3: `head` is None"):
        TGDICollator(processor)([{"text": "a b", "tail": (0, 1), "where": "posts.jsonl, line 3"}])


def test_entities_can_be_given_as_mentions(processor):
    collate = TGDICollator(processor)
    expected = collate([POST, POST])
    for change in ({"head": "Ann", "tail": "Bob"}, {"head": "Ann"}, {"tail": "[10, 13]"}):
        got = collate([{**POST, **change}, POST])
        assert all(torch.equal(got[name], expected[name]) for name in expected)
    with pytest.raises(ValueError, match="^row 1 of the batch: `tail` is 'Eve', which is not in the text"):
        collate([POST, {**POST, "tail": "Eve"}])


def test_rows_accept_every_form_of_entity(processor):
    collate = TGDICollator(processor)
    expected = collate([POST])
    both = {**POST, "words": ["Ann", "meets", "Bob"]}
    for row in (
        {**POST, "head": {"start": 0, "end": 3, "text": "ann", "label": "PER"}},
        {**POST, "head": [0, 4], "tail": [9, 13]},
        {**both, "head": "Ann", "tail": {"start": 2, "end": 3, "text": "Bob"}},
        {**both, "tail": [10, 13], "head": {"word": "Ann"}},
    ):
        got = collate([row])
        assert all(torch.equal(got[name], expected[name]) for name in expected)
    for row, message in (
        ({**POST, "head": {"start": 1, "end": 4, "text": "Ann"}}, r"'Ann' from 1 to 4.*'Ann' is at \[0, 3\)"),
        ({**POST, "head": (3, 4)}, "has no visible character"),
        ({**POST, "head": " "}, "without a visible character"),
        ({**POST, "text": "Ann\u0301 meets Bob"}, r"nearest whole span is \[0, 4\)"),
        ({**both, "head": [0, 3]}, "in words and 'Ann' in characters"),
        ({**both, "text": "Eve meets Bob"}, "whose letters differ"),
        ({"words": ["Ann", " ", "Bob"], "head": [0, 1], "tail": [1, 2]}, "has no visible character"),
    ):
        with pytest.raises(ValueError, match=f"^row 1 of the batch: .*{message}"):
            collate([POST, row])


def test_the_first_of_several_occurrences_is_taken_on_request(processor):
    twice = {"text": "Ann meets Bob and Ann", "head": "Ann", "tail": "Bob"}
    with pytest.raises(ValueError, match="^row 0 of the batch: `head` is 'Ann', which occurs 2 times"):
        TGDICollator(processor)([twice])
    got, expected = (
        TGDICollator(processor, ambiguous="first")([row])
        for row in (twice, {**twice, "head": (0, 3), "tail": (10, 13)})
    )
    assert all(torch.equal(got[name], expected[name]) for name in expected)
    with pytest.raises(ValueError, match="`ambiguous` is 'all'; expected 'error' or 'first'"):
        TGDICollator(processor, ambiguous="all")


def test_an_empty_batch_is_refused(processor):
    with pytest.raises(ValueError, match="rows of a batch, at least one"):
        TGDICollator(processor)([])


@pytest.mark.parametrize("num_labels", [None, 9])
def test_the_label_column_may_be_called_labels(corpus, processor, num_labels):
    rows = [
        {**row, "label": row["label"] if num_labels is None else [row["label"]]} for row in rows_of(corpus["train"], 4)
    ]
    renamed = [{("labels" if name == "label" else name): value for name, value in row.items()} for row in rows]
    collate = TGDICollator(processor, num_labels=num_labels)
    assert torch.equal(collate(renamed)["labels"], collate(rows)["labels"])

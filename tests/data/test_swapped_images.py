import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from tgdi_hf import TGDICollator, undecoded
from tgdi_hf.data.swapped_images import SwappedImages, SwappedImageStream, swap_images


def post(name, image, **further):
    return {"text": name, "image": image, "objects": [(0, 0, len(name), 9)], "caption": f"of {name}", **further}


def swapped_of(rows, share, seed=0):
    return swap_images(rows, share, np.random.default_rng(seed))


@pytest.fixture
def rows(corpus):
    return undecoded(corpus["train"])


def images(rows):
    return [(row["text"], row["image"] and row["image"]["bytes"], row["image_matches"]) for row in rows]


def test_an_image_is_swapped_with_its_objects_and_caption():
    before = [post("a", "a.png", label=1), post("bb", "b.png", label=2)]
    after = swapped_of(before, 1.0)
    assert [(row["text"], row["label"], row["image_matches"]) for row in after] == [("a", 1, 0), ("bb", 2, 0)]
    assert [(row["image"], row["objects"], row["caption"]) for row in after] == [
        ("b.png", [(0, 0, 2, 9)], "of bb"),
        ("a.png", [(0, 0, 1, 9)], "of a"),
    ]
    assert before[0]["image"] == "a.png" and "image_matches" not in before[0]


def test_what_the_other_post_lacks_is_removed():
    bare = {"text": "b", "image": "b.png"}
    after = {row["text"]: row for row in swapped_of([post("a", "a.png"), bare], 1.0)}
    assert (after["a"]["image"], after["a"]["objects"], after["a"]["caption"]) == ("b.png", None, None)
    assert (after["b"]["image"], after["b"]["caption"]) == ("a.png", "of a")


def test_rows_of_one_post_never_swap_and_rows_without_image_stay():
    same = {"bytes": b"same"}
    before = [post("a", same), post("b", {"bytes": b"same"}), post("c", None, objects=None), post("d", "d.png")]
    for seed in range(20):
        after = swapped_of(before, 1.0, seed)
        assert [row["image"] for row in after] == ["d.png", "d.png", None, after[3]["image"]]
        assert after[3]["image"] == same
        assert [row["image_matches"] for row in after] == [0, 0, 1, 0]
    alone = swapped_of(before[:3], 1.0)
    assert [row["image_matches"] for row in alone] == [1, 1, 1]  # no other image
    assert [row["image"] for row in alone] == [same, same, None]


def test_crops_are_the_image_of_a_row_without_one():
    before = [post("a", None, objects=["a0.png", "a1.png"]), post("b", None, objects=["b0.png"])]
    assert [row["objects"] for row in swapped_of(before, 1.0)] == [["b0.png"], ["a0.png", "a1.png"]]


def test_the_share_is_met_on_average():
    # A quarter of 6 rows is 1.5: one row in one half of the batches, and two in the other.
    before = [post(str(i), f"{i}.png") for i in range(6)]
    counts = [sum(row["image_matches"] == 0 for row in swapped_of(before, 0.25, seed)) for seed in range(400)]
    assert {*counts} == {1, 2}
    assert np.mean(counts) == pytest.approx(1.5, abs=0.08)
    assert all(row["image_matches"] for row in swapped_of(before, 0.0))


def test_swaps_depend_on_the_seed_and_the_rows_of_the_batch_alone(rows):
    swapped = SwappedImages(rows, 0.5, seed=3)
    assert len(swapped) == 96
    batch = images(swapped.__getitems__([5, 1, 8, 30]))
    swapped.__getitems__([2, 3])
    assert images(swapped.__getitems__([5, 1, 8, 30])) == batch
    assert images(SwappedImages([*rows], 0.5, seed=3).__getitems__([5, 1, 8, 30])) == batch  # a plain list
    differing = [images(SwappedImages(rows, 0.5, seed=seed).__getitems__(range(32))) for seed in range(2)]
    assert differing[0] != differing[1]
    assert images([swapped[5]])[0][1:] == (rows[5]["image"] and rows[5]["image"]["bytes"], 1)


@pytest.mark.parametrize("stream", [False, True])
def test_workers_see_the_same_swaps(rows, processor, stream):
    of = SwappedImageStream(rows.to_iterable_dataset(), 0.5) if stream else SwappedImages(rows, 0.5)

    def batches(workers):
        loader = DataLoader(of, batch_size=32, collate_fn=TGDICollator(processor), num_workers=workers)
        return [(batch["image_matches"].tolist(), batch["pixel_values"].sum().item()) for batch in loader]

    here = batches(0)
    assert len(here) == 3 and batches(1) == here


def test_a_stream_swaps_within_windows_and_differs_between_epochs(rows):
    first = SwappedImageStream(rows.to_iterable_dataset(), 0.5, window=8)
    epochs = []
    for epoch in (0, 1, 0):
        first.set_epoch(epoch)
        epochs.append(images(first))
    assert epochs[0] == epochs[2] != epochs[1]
    assert [text for text, _, _ in epochs[0]] == rows["text"][:]
    for start in range(0, 96, 8):  # images come from the same window
        own = {row["image"] and row["image"]["bytes"] for row in rows.select(range(start, start + 8))}
        assert {image for _, image, _ in epochs[0][start : start + 8]} <= own
    with pytest.raises(TypeError):
        len(first)


def test_the_batch_shares_the_swapped_images(rows, processor):
    batch = TGDICollator(processor)(SwappedImages(rows, 0.5).__getitems__(range(32)))
    plain = TGDICollator(processor)([rows[i] for i in range(32)])
    assert len(batch["pixel_values"]) <= len(plain["pixel_values"])  # no further image is encoded
    assert torch.equal(batch["image_mask"], plain["image_mask"])
    assert "image_matches" not in plain
    different = batch["pixel_values"][batch["image_index"][:, 0]] != plain["pixel_values"][plain["image_index"][:, 0]]
    different = different.flatten(1).any(dim=1) & batch["image_mask"][:, 0].bool()
    assert different.tolist() == (batch["image_matches"] == 0).tolist()


def test_an_invalid_mark_is_refused(rows, processor):
    with pytest.raises(ValueError, match=r"row 1 of the batch.*`image_matches` is 0\.5; expected 1 if the image"):
        TGDICollator(processor)([rows[0], {**rows[1], "image_matches": 0.5}])


@pytest.mark.parametrize("of", [SwappedImages, SwappedImageStream])
def test_an_invalid_share_is_refused(of):
    with pytest.raises(ValueError, match=r"`swap_images` is -1; expected the share of rows that get another image"):
        of([], -1)

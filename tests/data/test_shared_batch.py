import copy
import pickle

import pytest
import torch
from accelerate.utils import concatenate, find_batch_size, send_to_device, slice_tensors
from PIL import Image
from torch.utils.data import DataLoader

from tgdi_hf import TGDICollator
from tgdi_hf.data.shared_batch import SharedBatch

POST = {"text": "Ann meets Bob", "head": (0, 3), "tail": (10, 13)}
ADVICE = r"share_images=False.*dispatch_batches=False"


@pytest.fixture
def rows():
    """Six rows with four distinct images."""
    images = [Image.new("RGB", (20, 20), (40 * i, 0, 0)) for i in range(4)]
    return [{**POST, "image": images[i % 4], "label": 0} for i in range(6)]


@pytest.fixture
def batch(rows, processor):
    return TGDICollator(processor)(rows)


def test_half_of_a_batch_with_shared_images_is_refused(batch, model):
    assert type(batch) is SharedBatch and batch["pixel_values"].shape[0] == 4
    # Accelerate slices a batch like this for each of two processes with `split_batches=True`.
    for half in (slice(0, 3), slice(3, 6)):
        part = slice_tensors(batch, half)
        for read in (
            lambda part: model(**part),
            lambda part: part["input_ids"],
            lambda part: dict(part.items()),
            lambda part: part.to("cpu"),
            lambda part: concatenate([part, part]),
        ):
            with pytest.raises(ValueError, match=ADVICE):
                read(part)


def test_concatenated_batches_are_refused_when_they_are_split(batch):
    both = concatenate([batch, batch])  # with `dispatch_batches=True`
    with pytest.raises(ValueError, match=ADVICE):
        slice_tensors(both, slice(0, 6))["labels"]


def test_a_whole_batch_supports_all_other_operations(batch, model, rows, processor):
    with torch.no_grad():
        expected = model(**batch).logits
    copies = [
        send_to_device(batch, "cpu"),
        pickle.loads(pickle.dumps(batch)),
        copy.copy(batch),
        type(batch)({name: tensor.clone() for name, tensor in batch.items()}),
        slice_tensors(batch, slice(0, 6)),  # the whole batch: one process
        batch.to("cpu"),
        next(iter(DataLoader(rows, batch_size=6, collate_fn=TGDICollator(processor), num_workers=1))),
    ]
    for one in copies:
        with torch.no_grad():
            torch.testing.assert_close(model(**one).logits, expected)
    assert batch.to(torch.bfloat16)["pixel_values"].dtype == torch.bfloat16
    # Accelerate slices the first batch without reading the slice, which must not raise.
    slice_tensors(batch, slice(0, 1))


def test_batches_without_shared_images_can_be_split(rows, processor):
    whole = TGDICollator(processor, share_images=False)(rows)
    assert find_batch_size(slice_tensors(whole, slice(0, 2))) == 2
    without = TGDICollator(processor)([{**row, "image": None} for row in rows])
    assert find_batch_size(slice_tensors(without, slice(0, 2))) == 2

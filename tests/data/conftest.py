import json

import pytest

from tgdi_hf import RELATIONS

from .mnre_folder import FILE_NAMES, write_lines, write_split


@pytest.fixture
def folder_of_splits(tmp_path):
    """All three splits, in the layout of HVPNeT and MKGformer."""
    folder = tmp_path / "RE_data"
    for split in FILE_NAMES:
        write_split(folder, split)
    (folder / "ours_rel2id.json").write_text(json.dumps({name: i for i, name in enumerate(RELATIONS)}))
    return folder


@pytest.fixture
def folder(tmp_path):
    """A train split with captions and relevance."""
    folder = tmp_path / "mnre"
    write_split(folder)
    captions = [{"img_id": "a.jpg", "text": "two men in gowns"}, {"img_id": "b.jpg", "text": " "}]
    write_lines(folder / "caption/blip2_train.txt", captions)
    write_lines(
        folder / "relevance/train_weight_strong.txt", ["b.jpg\t0.5", "a.jpg\t0.25", "c.jpg\t1e-05", "a.jpg\t0.75"]
    )
    return folder

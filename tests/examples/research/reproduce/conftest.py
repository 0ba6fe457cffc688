import pytest

from ....data.mnre_folder import write_split


@pytest.fixture
def mnre_folder(tmp_path):
    for split in ("train", "validation"):
        write_split(tmp_path / "mnre", split)
    return tmp_path / "mnre"

import pytest
from datasets import DatasetDict

from tgdi_hf.preparation.summary import Preparation


@pytest.mark.parametrize(
    ("captioned", "grounded", "expected"),
    [
        (None, None, "no captions or objects requested."),
        (3, None, "3 captions computed, all others given or cached."),
        (None, 0, "0 object detections computed, all others given or cached."),
        (1000, 2, "1,000 captions and 2 object detections computed, all others given or cached."),
    ],
)
def test_the_summary_counts_only_requested_results(captioned, grounded, expected):
    done = Preparation(DatasetDict(), [], rows=5, images=4, captioned=captioned, grounded=grounded)
    assert done.summary() == f"5 posts, 4 distinct images; {expected}"

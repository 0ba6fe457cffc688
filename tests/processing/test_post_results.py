import pytest
import torch

from tgdi_hf.processing.head_and_tail import EntityPair
from tgdi_hf.processing.invalid_post import InvalidPost
from tgdi_hf.processing.post_batch import Post
from tgdi_hf.processing.post_results import ResultBuilder, mark_nan_scores
from tgdi_hf.processing.post_text import PostText
from tgdi_hf.processing.relation_labels import RelationLabels
from tgdi_hf.processing.scored_batch import ScoredBatch

NAMES = ("None", "/per/per/peer", "/per/org/member_of")
LABELS = RelationLabels(NAMES, [False] * 3, "None")
TEXT = "Ann meets Bob"
ANN = {"text": "Ann", "start": 0, "end": 3}
BOB = {"text": "Bob", "start": 10, "end": 13}


def post_of(types=(None, None), rows=slice(0, 1), **fields):
    located = PostText({"text": TEXT}, "post 0")
    pair = EntityPair(
        *(
            located.entities({"start": one["start"], "end": one["end"], "type": kind}, "head", "head")[0]
            for one, kind in zip((ANN, BOB), types)
        )
    )
    return Post({"id": "x"}, "post 0", text=TEXT, pairs=[pair], rows=rows, **fields)


def batch_of(post, *scores):
    return ScoredBatch([post], probabilities=torch.tensor(scores))


def test_the_result_of_a_pair_has_its_entities_and_relations():
    post = post_of(added={"caption": "two people"}, truncated=["text"])
    result = ResultBuilder(batch_of(post, [0.25, 0.5, 0.25]), LABELS, top_k=1).result(post)
    assert result == {
        "id": "x",
        "added": {"caption": "two people"},
        "truncated": ["text"],
        "head": ANN,
        "tail": BOB,
        "relation": "/per/per/peer",
        "score": 0.5,
        "relations": [{"relation": "/per/per/peer", "score": 0.5}],
        "gate": None,
    }


def test_scores_of_relations_that_the_types_exclude_are_redistributed():
    post = post_of(types=("PER", "ORG"))
    result = ResultBuilder(batch_of(post, [0.125, 0.5, 0.375]), LABELS, top_k=3).result(post)
    # The remaining scores 0.125 and 0.375 are divided by their sum, 0.5.
    scores = {one["relation"]: one["score"] for one in result["relations"]}
    assert scores == {"/per/org/member_of": 0.75, "None": 0.25, "/per/per/peer": 0.0}
    assert result["head"] == {**ANN, "type": "PER"}


@pytest.mark.parametrize(("drop_none", "count"), [(False, 1), (True, 0)])
def test_listed_pairs_without_a_relation_can_be_dropped(drop_none, count):
    post = post_of(listed=True)
    result = ResultBuilder(batch_of(post, [0.5, 0.25, 0.25]), LABELS, drop_none=drop_none).result(post)
    assert len(result["pairs"]) == count


def test_all_pairs_require_the_label_for_no_relation():
    post = post_of(all_pairs=True, listed=True)
    labels = RelationLabels(NAMES, [False] * 3, undeclared="Pass `negative_label`.")
    with pytest.raises(ValueError, match="requires the label for no relation. Pass `negative_label`."):
        ResultBuilder(batch_of(post, [0.5, 0.25, 0.25]), labels).result(post)


def test_the_result_of_an_invalid_post_is_its_error():
    post = post_of(rows=None, error=InvalidPost("post 0 has no text", "text"))
    result = ResultBuilder(ScoredBatch([post]), LABELS).result(post)
    assert result == {"id": "x", "error": "post 0 has no text", "field": "text"}


def test_posts_with_nan_scores_are_invalid():
    post = post_of()
    batch = batch_of(post, [float("nan"), 0.5, 0.5])
    mark_nan_scores(batch, strict=False)
    assert "post 0: the model's scores are NaN" in str(post.error)
    post.error = None
    with pytest.raises(InvalidPost, match="scores are NaN"):
        mark_nan_scores(batch, strict=True)

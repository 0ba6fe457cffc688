import json

import pytest
import torch

from tgdi_hf.preparation.object_grounder import ObjectGrounder, overlap, phrase_scores

from .test_image_captioner import noise_images
from .tiny_checkpoints import GROUNDERS

PHRASES = [["JFK", "two men", "person"], ["new york", "stage"]]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    return {kind: build(tmp_path_factory.mktemp(kind)) for kind, build in GROUNDERS.items()}


@pytest.mark.parametrize("kind", GROUNDERS)
def test_boxes_lie_in_the_image_and_have_one_of_its_phrases(checkpoints, kind):
    grounder = ObjectGrounder.from_pretrained(checkpoints[kind], threshold=0.0)
    images = noise_images((60, 40), (20, 30))
    found = grounder(images, PHRASES)
    for image, phrases, objects in zip(images, PHRASES, found, strict=True):
        assert 1 <= len(objects) <= 3
        assert [part["score"] for part in objects] == sorted((part["score"] for part in objects), reverse=True)
        for part in objects:
            x0, y0, x1, y1 = part["box"]
            assert 0 <= x0 < x1 <= image.width
            assert 0 <= y0 < y1 <= image.height
            assert 0 <= part["score"] <= 1
            assert part["phrase"] in [phrase.lower() for phrase in phrases]
    assert found == grounder(images, PHRASES)
    assert json.loads(json.dumps([found, grounder.settings])) == [found, grounder.settings]
    other = grounder(noise_images((60, 40), (20, 30), seed=1), PHRASES)
    assert other != found


@pytest.mark.parametrize("kind", GROUNDERS)
def test_boxes_and_scores_are_those_of_the_post_processing_of_transformers(checkpoints, kind):
    """Apart from the phrases, and from boxes that are clipped to the image."""
    grounder = ObjectGrounder.from_pretrained(
        checkpoints[kind], threshold=0.0, max_overlap=1.0, min_area=0.0, num_objects=10_000
    )
    (image,), phrases = noise_images((60, 40)), ["jfk", "two men", "person"]
    inputs = grounder._inputs([image], [phrases])
    with torch.no_grad():
        outputs = grounder.model(**inputs)
    if "dino" in kind:  # theirs scores full stops and special tokens, too
        ids = grounder.processor.tokenizer.convert_tokens_to_ids([".", "[CLS]", "[SEP]"])
        between = torch.isin(inputs["input_ids"][0], torch.tensor(ids))
        outputs.logits[0, :, : len(between)][:, between] = -torch.inf
    (theirs,) = grounder.processor.post_process_grounded_object_detection(
        outputs, threshold=0.0, target_sizes=[(image.height, image.width)]
    )
    order = theirs["scores"].argsort(descending=True, stable=True)
    limit = torch.tensor([60, 40, 60, 40])
    boxes = theirs["boxes"][order].clamp(min=0).minimum(limit)
    ours = grounder([image], [phrases])[0]
    assert len(ours) == len(order)
    torch.testing.assert_close(
        torch.tensor([part["score"] for part in ours]), theirs["scores"][order], atol=1e-4, rtol=0
    )
    torch.testing.assert_close(torch.tensor([part["box"] for part in ours]), boxes, atol=0.06, rtol=0)


def test_results_do_not_depend_on_the_batch(checkpoints):
    grounder = ObjectGrounder.from_pretrained(checkpoints["owlv2"], threshold=0.0)
    images = noise_images((60, 40), (20, 30))
    together = grounder(images, PHRASES)
    for image, phrases, expected in zip(images, PHRASES, together, strict=True):
        (alone,) = grounder([image], [phrases])
        assert [part["phrase"] for part in alone] == [part["phrase"] for part in expected]
        for one, two in zip(alone, expected, strict=True):
            assert one["box"] == pytest.approx(two["box"], abs=0.11)


def test_weak_small_and_overlapping_boxes_are_dropped(checkpoints):
    grounder = ObjectGrounder.from_pretrained(checkpoints["owlv2"], threshold=0.3)
    boxes = torch.tensor(
        [[0, 0, 50, 50], [2, 2, 52, 52], [60, 60, 90, 90], [0, 60, 5, 65], [60, 0, 90, 30], [10, 60, 40, 90.0]]
    )
    scores = torch.tensor([[0.1, 0.8], [0.9, 0.2], [0.5, 0.6], [0.99, 0], [0.2, 0.29], [0.31, 0.3]])
    (image,) = noise_images((100, 100))
    found = grounder._best(boxes, scores, image, ["a", "b"])
    assert [(part["box"][0], part["phrase"]) for part in found] == [(2, "a"), (60, "b"), (10, "a")]
    grounder.num_objects = 1
    assert len(grounder._best(boxes, scores, image, ["a", "b"])) == 1
    grounder.max_overlap = grounder.min_area = 0.0
    grounder.num_objects, grounder.threshold = 9, 0.0
    assert [part["box"][0] for part in grounder._best(boxes, scores, image, ["a", "b"])] == [0, 2, 60, 10, 60]


def test_a_phrase_has_the_score_of_its_best_token():
    """[CLS] a cat . dog . [SEP] with 1012 as the full stop."""
    ids = torch.tensor([101, 7, 8, 1012, 9, 1012, 102])
    scores = torch.tensor([[0.9, 0.1, 0.4, 0.8, 0.3, 0.7, 0.9, 0.9]])
    assert phrase_scores(scores, ids, 1012, 2).tolist() == [[pytest.approx(0.4), pytest.approx(0.3)]]
    assert phrase_scores(scores, ids[:5], 1012, 3)[0, 1:].tolist() == [0, 0]  # phrases that were truncated


def test_overlap_is_intersection_over_union():
    assert overlap(torch.tensor([0, 0, 2, 2.0]), torch.tensor([1, 0, 3, 2.0])) == pytest.approx(1 / 3)
    assert overlap(torch.tensor([0, 0, 1, 1.0]), torch.tensor([2, 2, 3, 3.0])) == 0


def test_more_phrases_than_the_detector_has_positions_for(checkpoints):
    grounder = ObjectGrounder.from_pretrained(checkpoints["grounding_dino"], threshold=0.0)
    (found,) = grounder(noise_images((60, 40)), [[f"two men {i}" for i in range(60)]])
    assert found

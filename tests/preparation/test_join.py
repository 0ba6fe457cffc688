from tgdi_hf import TGDICollator, TGDIProcessor, prepare, undecoded
from tgdi_hf.demo.tiny import tiny_image_processor, tiny_tokenizer

from .preparation_stubs import POST, TEXT, StubCaptioner, StubGrounder, posts, saved_image


def test_given_captions_and_objects_are_kept(tmp_path, options):
    path = saved_image(tmp_path, "a.png")
    rows = [
        {**POST, "image": path, "caption": "two men", "objects": [[1.0, 1.0, 5.0, 5.0]]},
        {**POST, "image": path, "caption": None, "objects": []},
    ]
    captioner, grounder = StubCaptioner(), StubGrounder()
    done = prepare(posts(*rows), tmp_path / "out", captioner, grounder, **options)
    first, second = done.dataset["train"]
    assert (first["caption"], first["caption_by"], first["objects"]) == ("two men", "given", [[1, 1, 5, 5]])
    assert first["objects_by"] == "given"
    assert second["caption"].startswith("12 by 8")
    assert second["objects"] == [[0, 0, 6, 4]]


def test_given_boxes_must_lie_in_a_usable_image(tmp_path, options):
    path, box = saved_image(tmp_path, "a.png"), [0, 0, 5, 5]
    rows = [
        {**POST, "image": path, "objects": [box]},
        {**POST, "image": str(tmp_path / "missing.png"), "objects": [box]},
        {**POST, "image": None, "objects": [box]},
        {**POST, "image": path, "objects": [[0.0, 0.0, 0.5, 0.5]]},
        {**POST, "image": path, "objects": [box, [0, 0, 5]]},
        {**POST, "image": path, "objects": [[90, 90, 95, 95]]},
    ]
    done = prepare(posts(*rows), tmp_path / "out", **options)
    assert done.dataset["train"]["objects"][:] == [[box], [], [], [], [], []]
    assert done.dataset["train"]["objects_by"][:] == ["given"] + [None] * 5
    reasons = {fault.row: fault.reason for fault in done.faults if fault.kind == "objects"}
    assert reasons.keys() == {1, 2, 3, 4, 5} and all(fault.kept for fault in done.faults)
    assert "without a usable image" in reasons[1] and "fractions" in reasons[3] and "four finite numbers" in reasons[4]
    assert "no pixel" in reasons[5]
    processor = TGDIProcessor(tiny_image_processor(), tiny_tokenizer([TEXT]))
    inputs = TGDICollator(processor)(list(undecoded(done.dataset["train"])))
    assert inputs["image_mask"].sum() == 5  # four images and one box

from tgdi_hf import evaluation_report
from tgdi_hf.data.perturbed import PerturbedDataset

from .scored import QUICK


def test_posts_are_grouped_after_perturbation(corpus, checkpoint):
    rows = corpus["test"]
    report, _ = evaluation_report(checkpoint, rows, rounds=10, **QUICK)
    counts = {name: {group: of["rows"] for group, of in groups.items()} for name, groups in report["groups"].items()}
    captions = sum(bool(caption) for caption in rows["caption"])
    assert counts["caption"] == {"present": captions, "absent": 32 - captions}
    relevant = sum(value is not None and value >= 0.1 for value in rows["relevance"])
    assert counts["relevance"]["from 0.1"] == relevant > 0
    changed = PerturbedDataset(rows, "shuffled-images")
    report, _ = evaluation_report(checkpoint, rows, control=changed, rounds=10, **QUICK)
    assert "from 0.1" not in report["groups"]["relevance"]  # every image is that of another post
    assert report["groups"]["caption"]["present"]["rows"] == captions

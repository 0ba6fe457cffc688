import json
import sys

import pytest

from examples.research.irrelevant_images.__main__ import main
from examples.research.irrelevant_images.models import MODELS
from examples.research.irrelevant_images.runs import ROWS as RUN_ROWS
from examples.research.irrelevant_images.runs import SHARES, corpus_with, run
from examples.research.irrelevant_images.tables import collect, values_of
from tgdi_hf import TGDICollator
from tgdi_hf.data.dataset_columns import undecoded
from tgdi_hf.demo.tiny_model import tiny_tgdi

ROWS = {"train": 64, "validation": 32, "test": 64}


@pytest.mark.parametrize("share", SHARES)
def test_share_applies_to_posts_that_need_no_image(share):
    rows = corpus_with(share, 0, {"test": 80})["test"]
    relevance = [row["relevance"] for row in rows if not row["needs_image"]]
    assert len(relevance) == 40
    assert relevance.count(0) == 40 * share
    assert all(row["image"] is not None for row in rows)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_trained_and_scored_at_every_share(name):
    result = run(name, 0, 0.5, epochs=1, rows=ROWS)
    assert [test["share"] for test in result["test"]] == list(SHARES)
    half = result["test"][2]
    assert all(0 <= half[score] <= 1 for score in ("f1", "f1_needs", "f1_needs_not"))
    assert ("auroc" in half) == (result["gate"] is not None) == name.startswith("TGDI")
    assert 0 <= result["misleading"]["f1_needs_not"] <= 1
    assert result["swap_images"] == MODELS[name].swap_images
    assert 0 <= result["order"]["order_unknown"]["f1"] <= 1
    assert "auroc" not in result["test"][0]  # all images are relevant there
    json.dumps(result)


def test_tables_have_mean_and_deviation_over_seeds(tmp_path):
    for seed, f1 in enumerate((0.8, 0.9)):
        tests = [{"share": share, "f1": f1 - share / 10, "f1_needs_not": 1.0, "auroc": 0.75} for share in SHARES]
        bins = [{"confidence": 0.9, "accuracy": 0.5, "rows": 10}]
        result = {
            "model": "TGDI", "options": {}, "seed": seed, "train_share": 0.0, "epochs": 5, "test": tests,
            "misleading": {"f1_needs_not": 0.5}, "gate": {"ece": 0.1 + seed / 5, "bins": bins},
        }  # fmt: skip
        (tmp_path / f"TGDI-0-{seed}.json").write_text(json.dumps(result))
    text = collect(tmp_path)
    # 80 and 90, 10 points lower at 100 %; standard deviation: square root of 50
    assert "| TGDI | 85.0 ± 7.1 | 82.5 ± 7.1 | 80.0 ± 7.1 | 77.5 ± 7.1 | 75.0 ± 7.1 | 2 |" in text
    assert "| TGDI | 75.0 ± 0.0 | | | | | 2 |" in text
    summary = "| TGDI | 85.0 ± 7.1 | | 100.0 ± 0.0 | 100.0 ± 0.0 | 50.0 ± 0.0 | 75.0 ± 0.0 | 20.0 ± 14.1 | | 2 |"
    assert summary in text
    assert (tmp_path / "figure.png").is_file()
    assert "Validation rows" not in text
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / "any.json").write_text(json.dumps({**result, "swap_images": 0.15}))
    assert "| TGDI, 15 % | 90.0 | | 100.0 | 100.0 | 50.0 | 75.0 | 30.0 | | 1 |" in collect(tmp_path)
    (tmp_path / "TGDI-0-1.json").write_text(json.dumps({**result, "epochs": 3}))
    with pytest.raises(ValueError, match="cannot average runs with different epochs: 5 and 3"):
        collect(tmp_path)
    (tmp_path / "TGDI-0-1.json").write_text(json.dumps({**result, "options": {"similarity_function": "scaled_dot"}}))
    with pytest.raises(ValueError, match="TGDI: cannot average runs with different options"):
        collect(tmp_path)


def test_existing_run_must_match_the_requested_one(tmp_path, monkeypatch):
    file = tmp_path / "TGDI-0-0.json"
    arguments = ["irrelevant", "run", "--results", str(tmp_path), "--seeds", "0", "--shares", "0", "--models", "TGDI"]
    monkeypatch.setattr(sys, "argv", arguments)
    there = {"epochs": 5.0, "rows": RUN_ROWS, "options": {}}
    file.write_text(json.dumps(there))
    main()
    assert json.loads(file.read_text()) == there
    file.write_text(json.dumps({"epochs": 5.0}))  # from an earlier version with other posts
    with pytest.raises(ValueError, match="TGDI-0-0.json: cannot average runs with different rows"):
        main()
    file.write_text(json.dumps({**there, "swap_images": 0.25}))  # when the model had swapped images
    with pytest.raises(ValueError, match="cannot average runs with different swap_images: 0.25 and 0.0"):
        main()


def test_the_share_of_swaps_is_searched_on_validation_rows(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(
        "examples.research.irrelevant_images.__main__.run",
        lambda *arguments, **options: calls.append((arguments, options)) or {"test": []},
    )
    arguments = [
        "irrelevant",
        "search",
        "--results",
        str(tmp_path / "mine"),
        "--seeds",
        "1",
        "--swapped",
        "0.15",
        "0.2",
    ]
    monkeypatch.setattr(sys, "argv", arguments)
    main()
    options = [{"swapped": share, "split": "validation"} for share in (0.15, 0.2)]
    assert calls == [(("TGDI, robust", 1, 0.0, 5), of) for of in options]
    files = sorted(file.name for file in (tmp_path / "mine" / "search").iterdir())
    assert files == ["TGDI-robust-0-15-1.json", "TGDI-robust-0-20-1.json"]
    result = run("TGDI", 0, 0.0, 1, ROWS, swapped=0.5, split="validation")
    assert (result["swap_images"], result["split"]) == (0.5, "validation")


def test_posts_do_not_depend_on_the_share():
    few, many = (corpus_with(share, 0, {"test": 60})["test"] for share in (0.0, 1.0))
    for name in ("text", "head", "tail", "caption", "label", "needs_image"):
        assert few[name][:] == many[name][:]
    assert any(few["caption"][:])


def test_text_only_reads_no_caption():
    corpus = corpus_with(0.5, 0, {"train": 60, "validation": 6})
    model, processor = tiny_tgdi(corpus, **MODELS["text only"].options)
    batch = TGDICollator(processor)([*undecoded(corpus["train"])])
    assert not model.config.uses_vision and "enhanced_input_ids" not in batch


def test_text_only_scores_apply_to_every_training_share():
    result = {"model": "text only", "train_share": 0.5, "test": [{"share": 0.25, "f1": 0.7}]}
    assert values_of([result], "text only", "f1", 1.0, 0.25) == [0.7]
    assert values_of([{**result, "model": "TGDI"}], "TGDI", "f1", 1.0, 0.25) == []

import pytest
import yaml
from huggingface_hub import EvalResultEntry, parse_eval_result_entries

from tgdi_hf.hub.eval_results import eval_result_entry, write_eval_result


def test_what_is_written_is_parsed_by_the_library_of_the_hub(tmp_path):
    results = [{"eval_f1": 0.51, "scored": {"split": "test", "control": None, "objects": "none"}}, {"eval_f1": 0.52}]
    entry = eval_result_entry(results, "user/mnre", "relations", seeds=[0, 1], negative="None")
    write_eval_result(tmp_path, entry)
    (file,) = (tmp_path / ".eval_results").iterdir()
    assert file.name == "user--mnre.yaml"
    (found,) = parse_eval_result_entries(yaml.safe_load(file.read_text()))
    assert found == entry == EvalResultEntry(
        "user/mnre", "relations", 0.515, notes="micro-F1 without None; test split; seeds 0, 1; mean"
    )  # fmt: skip


def test_unknown_facts_are_omitted():
    assert eval_result_entry([{"eval_f1": 0.5}], "user/mnre").notes == "micro-F1"
    entry = eval_result_entry([{"eval_f1": 0.5}], "user/mnre", seeds=[3], split="validation")
    assert (entry.task_id, entry.notes) == ("default", "micro-F1; validation split; seed 3")


@pytest.mark.parametrize(("results", "dataset", "message"), [
    ([], "user/mnre", "An entry for user/mnre requires results"),
    ([{"eval_f1": 0.5}], "MNRE", "the name of a dataset on the Hub, such as user/dataset; found 'MNRE'"),
    ([{"eval_f1": 0.5}], "a/b/c", "found 'a/b/c'"),
    ([{"eval_f1": 0.5, "scored": {"control": "text-only"}}], "user/mnre", "have `control=text-only`"),
    ([{"eval_f1": 0.5, "scored": {"objects": "published"}}], "user/mnre", "have `objects=published`"),
    ([{"eval_f1": 0.5}, {"eval_f1": 0.5, "scored": {"control": "no-image"}}], "user/mnre", "have `control=no-image`"),
    ([{"eval_f1": 0.5}, {"eval_accuracy": 0.5}], "user/mnre", "Expected `eval_f1` in the results; found None"),
    ([{"eval_f1": float("nan")}], "user/mnre", "found nan"),
])  # fmt: skip
def test_results_that_are_not_those_of_the_dataset(results, dataset, message):
    with pytest.raises(ValueError, match=message):
        eval_result_entry(results, dataset)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "test"}, "Expected results on one split; found 'test' and 'validation'"),
        ({"seeds": [0]}, "Expected one seed per result; found 2 results and 1 seeds"),
    ],
)
def test_notes_do_not_contradict_the_results(options, message):
    results = [{"eval_f1": 0.5, "scored": {"split": "validation"}}, {"eval_f1": 0.5}]
    assert eval_result_entry(results, "user/mnre").notes == "micro-F1; validation split; mean"
    with pytest.raises(ValueError, match=message):
        eval_result_entry(results, "user/mnre", **options)


def test_other_results_in_the_folder_are_kept(tmp_path):
    for name in ("user/one", "user/two", "user/two"):
        write_eval_result(tmp_path, EvalResultEntry(name, "default", 0.5))
    assert {file.name for file in (tmp_path / ".eval_results").iterdir()} == {"user--one.yaml", "user--two.yaml"}

"""Results in the format of the Hub's leaderboards, `.eval_results/*.yaml`."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml
from huggingface_hub.utils import yaml_dump

from ..modeling.checkpoint_names import is_hub_name

FOLDER = ".eval_results"


def eval_result_entry(
    results: Sequence[Mapping[str, Any]],
    dataset_id: str,
    task_id: str = "default",
    *,
    seeds: Sequence[int] | None = None,
    split: str | None = None,
    negative: str | None = None,
) -> EvalResultEntry:
    r"""
    The F1 of a model as an entry of a dataset's leaderboard on the Hub.

    Args:
        results: Output of `tgdi evaluate --output`, per seed.
        dataset_id: Name of the dataset on the Hub.
        task_id: Identifier of the task in the dataset's `eval.yaml`.
        seeds: Seeds of the training runs behind `results`.
        split: Split of `results`; by default the one recorded in them.
        negative: The label for no relation, which F1 excludes.

    Raises:
        ValueError: No results, or results without F1; `dataset_id` is not the name of a dataset on the Hub; some
            results are not those of the dataset as it is, but under a control or with object crops that leak labels;
            they are from several splits, or from another one than `split`; or the numbers of results and seeds differ.
    """
    if not results:
        raise ValueError(f"An entry for {dataset_id} requires results; found none.")
    if dataset_id.count("/") != 1 or not is_hub_name(dataset_id):
        raise ValueError(f"Expected the name of a dataset on the Hub, such as user/dataset; found {dataset_id!r}.")
    for result in results:
        if not math.isfinite(result.get("eval_f1", math.nan)):
            raise ValueError(f"Expected `eval_f1` in the results; found {result.get('eval_f1')}.")
        for name in ("control", "objects"):
            if (found := result.get("scored", {}).get(name)) not in (None, "none"):
                raise ValueError(
                    f"The results have `{name}={found}`, so they are not those of {dataset_id} as it is. Pass other "
                    "results, or omit the name of the dataset."
                )
    splits = {split, *(result.get("scored", {}).get("split") for result in results)} - {None}
    if len(splits) > 1:
        raise ValueError(f"Expected results on one split; found {' and '.join(map(repr, sorted(splits)))}.")
    if seeds is not None and len(seeds) != len(results):
        raise ValueError(f"Expected one seed per result; found {len(results)} results and {len(seeds)} seeds.")
    split = next(iter(splits), None)
    runs = None if seeds is None else f"seed{'' if len(seeds) == 1 else 's'} {', '.join(map(str, seeds))}"
    notes = [f"micro-F1{f' without {negative}' if negative else ''}", f"{split} split" if split else None, runs]
    if len(results) > 1:
        notes.append("mean")
    value = round(mean(result["eval_f1"] for result in results), 4)
    return EvalResultEntry(dataset_id, task_id, value, notes="; ".join(filter(None, notes)))


def write_eval_result(folder: Path, entry: EvalResultEntry) -> None:
    """Writes the entry to the folder of a model repository, in a file named after the dataset."""
    file = folder / FOLDER / f"{entry.dataset_id.replace('/', '--')}.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(yaml_dump(eval_result_entries_to_yaml([entry])), encoding="utf-8")

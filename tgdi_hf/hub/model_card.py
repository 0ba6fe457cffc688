"""The model card: what a model is, how it was measured, and what it is not for."""

import platform
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from transformers import PreTrainedModel

from ..modeling.checkpoint_names import is_hub_name
from ..modeling.negative_label import negative_of
from ..processing.pipeline_tgdi import TASK

TEMPLATE = Path(__file__).with_name("model_card_template.md")
SCORES = {"accuracy": "accuracy", "precision": "micro-precision", "recall": "micro-recall", "f1": "micro-F1"}
RECORDED = ("tgdi_hf", "transformers", "torch", "huggingface-hub", "safetensors")


def model_card(
    model: PreTrainedModel,
    repo_id: str,
    *,
    results: Sequence[Mapping[str, float]] | Mapping[str, float] = (),
    seeds: Sequence[int] | None = None,
    dataset_name: str | None = None,
    split: str | None = None,
    language: str | Sequence[str] = "en",
    license: str | None = None,
    base_models: Sequence[str] | None = None,
    datasets: Sequence[str] = (),
    tags: Sequence[str] = (),
    notes: str | None = None,
    co2: Mapping[str, Any] | str | None = None,
) -> ModelCard:
    r"""
    Writes the card of a model. What is not known is left out.

    Args:
        model: The fine-tuned model.
        repo_id: Where it will be on the Hub.
        results: What `tgdi evaluate --output` wrote, of one seed or of each of several.
        seeds: Of the training runs behind `results`; the first must be that of `model`.
        dataset_name, split: What `results` were measured on; by default the folder and the split that they say
            themselves, or MNRE's validation split.
        language: ISO codes.
        license: Of the weights, as the Hub spells it. The licences of the base models have a say in it.
        base_models: Names on the Hub. By default what the configuration says, if it can be such a name; as it can't be
            told from a folder that has gone, name them where the encoders came from a folder. `()` for none.
        datasets: Names on the Hub of what it was trained on, if it is there.
        tags: More tags.
        notes: A paragraph on how this model came about.
        co2: Emissions, in grams and whatever else the Hub's `co2_eq_emissions` knows, or a sentence.

    Returns:
        `ModelCard`.

    Raises:
        ValueError: Nothing says which label stands for no relation, while one has a name that usually does; results
            without the scores of `tgdi evaluate`, that were not measured alike or on another split than
            `split`; or not one seed for each.
    """
    results = [results] if isinstance(results, Mapping) else list(results)
    scored = _scored(results)
    if split is not None and scored and scored["split"] != split:
        raise ValueError(f"The results are those of the split {scored['split']!r}, not of {split!r}.")
    split = split or scored.get("split", "validation")
    dataset_name = dataset_name or Path(scored.get("data", "MNRE")).name
    if seeds is not None and len(seeds) != len(results):
        raise ValueError(f"There are {len(results)} results and {len(seeds)} seeds; expected one seed for each result.")
    scores = [_scores(result) for result in results]
    config = model.config
    if base_models is None:
        encoders = [config.text_config, *([config.vision_config] if config.uses_vision else [])]
        names_of_encoders = dict.fromkeys(getattr(encoder, "_name_or_path", "") for encoder in encoders)
        base_models = [name for name in names_of_encoders if is_hub_name(name)]
    names = [config.id2label[i] for i in range(config.num_labels)]
    negative = negative_of(config, names)
    with_vision = f"{config.vision_config.model_type}, {config.vision_config.num_hidden_layers} layers"
    seed_text = _seed_text(seeds, len(scores))
    data = ModelCardData(
        language=language,
        license=license,
        library_name="transformers",
        # The Hub knows a closed list of tasks; the name of ours is a tag.
        pipeline_tag="text-classification",
        tags=["relation-extraction", TASK, "multimodal", "tgdi", "custom_code", *tags],
        base_model=list(base_models) or None,
        datasets=list(datasets) or None,
        metrics=["accuracy", "precision", "recall", "f1"] if scores else None,
        model_name=repo_id.rpartition("/")[2],
        eval_results=_eval_results(scores, dataset_name, split, seed_text, negative) or None,
        co2_eq_emissions=co2 if isinstance(co2, Mapping) else None,
    )
    return ModelCard.from_template(
        data,
        template_path=str(TEMPLATE),
        repo_id=repo_id,
        model_name=data.model_name,  # with results, `data.to_dict()` has it in `model-index` only
        text_encoder=f"{config.text_config.model_type}, {config.text_config.num_hidden_layers} layers",
        vision_encoder=with_vision if config.uses_vision else "none",
        relations=names,
        multi_label=config.thresholds is not None,
        negative=negative,
        direction_balanced=config.direction_balanced,
        versions=", ".join(f"{name} {found}" for name, found in recorded_versions().items()),
        results={name: _spread([row[name] for row in scores]) for name in SCORES} if scores else None,
        several=len(scores) > 1,
        per_relation=_per_relation(results, names) if results else [],
        dataset_name=dataset_name,
        split=split,
        scored=scored,
        seeds=seed_text,
        notes=notes,
        co2=co2 if isinstance(co2, str) else None,
    )


def recorded_versions() -> dict[str, str]:
    """Of Python and of the packages that a checkpoint depends on."""
    found = {"python": platform.python_version()}
    for name in RECORDED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # run from a folder, not installed
            continue
    return found


def _scores(result: Mapping[str, float]) -> dict[str, float]:
    missing = [name for name in SCORES if f"eval_{name}" not in result]
    if missing:
        raise ValueError(
            f"The results lack {', '.join(f'eval_{name}' for name in missing)}; expected what `tgdi evaluate --output` "
            "writes."
        )
    return {name: 100 * result[f"eval_{name}"] for name in SCORES}


def _scored(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the results say of how they were measured; nothing where they are of an older version, or of one's own."""
    said = [{name: value for name, value in r["scored"].items() if name != "seed"} for r in results if "scored" in r]
    unlike = [one for one in said if one != said[0]]
    if unlike:
        name = next(name for name in said[0] if said[0][name] != unlike[0].get(name))
        raise ValueError(
            f"The results were not measured alike: {name} is {said[0][name]!r} and {unlike[0].get(name)!r}. Give those "
            "of one evaluation, one for each seed."
        )
    return said[0] if said else {}


def _seed_text(seeds: Sequence[int] | None, count: int) -> str:
    if seeds is None:
        return "one run" if count == 1 else f"{count} runs"
    return ("seed " if len(seeds) == 1 else "seeds ") + ", ".join(map(str, seeds))


def _spread(values: Sequence[float]) -> str:
    return f"{mean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")


def _eval_results(
    scores: list[dict[str, float]], dataset: str, split: str, seeds: str, negative: str | None
) -> list[EvalResult]:
    without = f" without {negative}" if negative else ""
    return [
        EvalResult(
            task_type="text-classification",
            task_name="Multimodal relation extraction",
            dataset_type=re.sub(r"[^\w./-]+", "-", dataset.lower()),  # an id, not a title
            dataset_name=dataset,
            dataset_split=split,
            metric_type=name,
            metric_name=f"{title} ({seeds})" if name == "accuracy" else f"{title}{without} ({seeds})",
            metric_value=round(mean(row[name] for row in scores) / 100, 4),
        )
        for name, title in (SCORES.items() if scores else ())
    ]


def _per_relation(results: list[Mapping[str, float]], names: list[str]) -> list[dict[str, Any]]:
    rows = []
    for name in names:
        found = [result for result in results if f"eval_f1 {name}" in result]
        if found:
            values = {
                key: _spread([100 * row[f"eval_{key} {name}"] for row in found]) for key in SCORES if key != "accuracy"
            }
            support = found[0].get(f"eval_support {name}")
            rows.append({"name": name, "support": "" if support is None else int(support), **values})
    return rows

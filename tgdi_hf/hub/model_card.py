"""The model card: architecture, evaluation, intended use and limits."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from statistics import mean
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from transformers import PreTrainedModel

from ..evaluation.spread import mean_and_deviation
from ..modeling.checkpoint_names import is_hub_name
from ..modeling.configuration_presets import PRESETS
from ..modeling.configuration_tgdi import TGDIConfig
from ..modeling.negative_label import negative_of
from ..modeling.relation_configuration import RelationConfig
from ..processing.pipeline_tgdi import TASK
from ..training.training_record import recorded_versions

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
    training: Mapping[str, Any] | None = None,
) -> ModelCard:
    r"""
    Renders the model card. Unknown facts are omitted.

    Args:
        model: The fine-tuned model.
        repo_id: Name of its repository on the Hub.
        results: Output of `tgdi evaluate --output`, for one seed or per seed.
        seeds: Seeds of the training runs behind `results`, in order; the first must be that of `model`.
        dataset_name, split: Dataset and split of `results`; by default the folder and split recorded in them, or the
            validation split of MNRE.
        language: ISO codes.
        license: License of the weights, as an identifier of the Hub; the licenses of the base models restrict it.
        base_models: Names of the encoders on the Hub; `()` for none. By default those in the configuration. If the
            encoders were loaded from a folder, pass their names, because a folder that no longer exists cannot be
            distinguished from a name on the Hub.
        datasets: Names of the training datasets on the Hub.
        tags: Additional tags.
        notes: A paragraph about this model.
        co2: Emissions: the Hub's `co2_eq_emissions` (in grams), or a sentence.
        training: What is known about the training, see `training_facts`.

    Returns:
        `ModelCard`.

    Raises:
        ValueError: The label for no relation is undeclared and one label has a usual name for it; results lack the
            scores of `tgdi evaluate`, differ in their settings, are from another split than `split`, or do not name
            their dataset; or the numbers of results and seeds differ.
    """
    results = [results] if isinstance(results, Mapping) else list(results)
    scored = _scored(results)
    if split is not None and scored and scored["split"] != split:
        raise ValueError(f"Expected results on the split {split!r}; found results on {scored['split']!r}.")
    split = split or scored.get("split", "validation")
    dataset_name = dataset_name or Path(scored.get("data", "MNRE")).name
    if dataset_name in ("", ".."):
        raise ValueError(
            f"The results were computed on {scored['data']!r}, which is not the name of a dataset; pass `dataset_name` "
            "(`--dataset`)."
        )
    if seeds is not None and len(seeds) != len(results):
        raise ValueError(f"Expected one seed per result; found {len(results)} results and {len(seeds)} seeds.")
    scores = [_scores(result) for result in results]
    averages = {name: mean_and_deviation([row[name] for row in scores], digits=1) for name in SCORES}
    config: Any = model.config  # a TGDIConfig, possibly of remote code
    if base_models is None:
        encoders = [config.text_config, *([config.vision_config] if config.uses_vision else [])]
        names_of_encoders = dict.fromkeys(getattr(encoder, "_name_or_path", "") for encoder in encoders)
        base_models = [name for name in names_of_encoders if is_hub_name(name)]
    names = [config.id2label[i] for i in range(config.num_labels)]
    negative = negative_of(config, names)
    with_vision = f"{config.vision_config.model_type}, {config.vision_config.num_hidden_layers} layers"
    seed_text = _seed_text(seeds, len(scores))
    data = ModelCardData(
        language=language if isinstance(language, str) else list(language),
        license=license,
        library_name="transformers",
        # The Hub has a closed list of tasks; the name of this one is a tag.
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
        model_name=data.model_name,  # with results, `data.to_dict()` contains it in `model-index` only
        text_encoder=f"{config.text_config.model_type}, {config.text_config.num_hidden_layers} layers",
        vision_encoder=with_vision if config.uses_vision else "none",
        relations=names,
        multi_label=config.thresholds is not None,
        negative=negative,
        direction_balanced=config.direction_balanced,
        tail_first_bias=config.tail_first_bias,
        gate_is_probability=config.gate_is_probability,
        gate_error=config.gate_calibration_error,
        preset=_preset_of(config),
        settings=_changed_settings(config),
        versions=", ".join(f"{name} {number}" for name, number in recorded_versions(RECORDED).items()),
        results=averages if scores else None,
        several=len(scores) > 1,
        per_relation=_per_relation(results, names) if results else [],
        dataset_name=dataset_name,
        split=split,
        scored=scored,
        seeds=seed_text,
        notes=notes,
        co2=co2 if isinstance(co2, str) else None,
        training=training or {},
    )


def _changed_settings(config: Any) -> dict[str, Any]:
    """The fields of TGDI's own mechanisms whose values are not the defaults, such as those of the preset `paper`."""
    shared = {field.name for field in fields(RelationConfig)} | {"label_log_priors"}  # that has a number per label
    own = [field for field in fields(TGDIConfig) if field.name not in shared]
    return {field.name: value for field in own if (value := getattr(config, field.name)) != field.default}


def _preset_of(config: Any) -> str | None:
    """The preset whose fields the configuration has, other than the default; `None` if there is none."""
    for name, chosen in PRESETS.items():
        own = TGDIConfig.from_preset(name, text_config=config.text_config, vision_config=config.vision_config)
        if chosen and all(getattr(config, field) == getattr(own, field) for field in chosen):
            return name
    return None


def _scores(result: Mapping[str, float]) -> dict[str, float]:
    missing = [name for name in SCORES if f"eval_{name}" not in result]
    if missing:
        raise ValueError(
            f"The results lack {', '.join(f'eval_{name}' for name in missing)}; expected the output of `tgdi evaluate "
            "--output`."
        )
    return {name: result[f"eval_{name}"] for name in SCORES}


def _scored(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The settings recorded in the results; empty for results of an older version or of another program."""
    settings = [
        {name: value for name, value in r["scored"].items() if name != "seed"} for r in results if "scored" in r
    ]
    different = [one for one in settings if one != settings[0]]
    if different:
        name = next(name for name in settings[0] if settings[0][name] != different[0].get(name))
        raise ValueError(
            f"The results differ in their settings: {name} is {settings[0][name]!r} and {different[0].get(name)!r}. "
            "Pass the results of one evaluation, one per seed."
        )
    return settings[0] if settings else {}


def _seed_text(seeds: Sequence[int] | None, count: int) -> str:
    if seeds is None:
        return "one run" if count == 1 else f"{count} runs"
    return ("seed " if len(seeds) == 1 else "seeds ") + ", ".join(map(str, seeds))


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
            metric_value=round(mean(row[name] for row in scores), 4),
        )
        for name, title in (SCORES.items() if scores else ())
    ]


def _per_relation(results: list[Mapping[str, float]], names: list[str]) -> list[dict[str, Any]]:
    rows = []
    for name in names:
        scored = [result for result in results if f"eval_f1 {name}" in result]
        if scored:
            values = {
                key: mean_and_deviation([row[f"eval_{key} {name}"] for row in scored], digits=1)
                for key in SCORES
                if key != "accuracy"
            }
            support = scored[0].get(f"eval_support {name}")
            rows.append({"name": name, "support": "" if support is None else int(support), **values})
    return rows

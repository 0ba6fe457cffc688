"""`tgdi push`."""

from pathlib import Path
from typing import Annotated

import typer

from .arguments import negative_label
from .options import Checkpoint, Negative, NoNegative


def push(
    checkpoint: Checkpoint,
    repo: Annotated[str, typer.Argument(help="Repository user/name on the Hub; created if it does not exist.")],
    results: Annotated[list[Path], typer.Option(help="File written by `tgdi evaluate --output`; once per seed.")] = [],  # noqa: B006 - typer copies it
    seeds: Annotated[list[int], typer.Option("--seed", help="Training seed of each of the results, in order.")] = [],  # noqa: B006 - typer copies it
    dataset: Annotated[
        str | None, typer.Option(help="Dataset of the results.", show_default="as recorded in them")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Split of the results.", show_default="as recorded in them")] = None,
    dataset_id: Annotated[
        str | None,
        typer.Option(help="Name of that dataset on the Hub; adds the F1 for its leaderboard to .eval_results."),
    ] = None,
    task_id: Annotated[str, typer.Option(help="Task of the leaderboard, as in the dataset's eval.yaml.")] = "default",
    license: Annotated[str | None, typer.Option(help="License of the weights, as an identifier of the Hub.")] = None,
    language: Annotated[str, typer.Option(help="ISO code of the language.")] = "en",
    base_models: Annotated[
        list[str] | None,
        typer.Option(
            "--base-model", help="Name of an encoder on the Hub; may be repeated.", show_default="as configured"
        ),
    ] = None,
    notes: Annotated[str | None, typer.Option(help="Paragraph for the model card.")] = None,
    negative: Negative = None,
    no_negative: NoNegative = False,
    handler: Annotated[
        bool, typer.Option("--handler", help="Add handler.py and requirements.txt for Inference Endpoints.")
    ] = False,
    private: Annotated[bool, typer.Option("--private", help="Create a private repository.")] = False,
    to: Annotated[Path | None, typer.Option(help="Write the files to this folder; upload nothing.")] = None,
    revision: Annotated[
        str | None,
        typer.Option(
            help="Branch, tag or commit of CHECKPOINT on the Hub; the upload goes to REPO's main.", show_default="main"
        ),
    ] = None,
) -> None:
    """Upload a model to the Hub: weights, processor, pipeline, code and model card in one commit.

    Log in with `hf auth login` first.

    Example: tgdi push runs/demo me/tgdi-demo --to upload
    """
    from ..checkpoints import check_checkpoint, explain_hub_errors
    from ..hub.eval_results import eval_result_entry
    from ..hub.model_card import model_card
    from ..hub.training_facts import json_object, training_facts
    from ..hub.upload import push_to_hub, save_for_hub
    from ..modeling.modeling_tgdi import TGDIForRelationExtraction
    from ..modeling.negative_label import negative_of
    from ..processing.processing_tgdi import TGDIProcessor
    from ..training.run_record import control_of

    check_checkpoint(checkpoint, revision)
    with explain_hub_errors(checkpoint):
        model = TGDIForRelationExtraction.from_pretrained(checkpoint, revision=revision or "main")
        processor = TGDIProcessor.from_pretrained(checkpoint, revision=revision or "main")
    model.config.negative_label = model.config.find_negative(negative_label(negative, no_negative))
    if trained_under := control_of(checkpoint):
        notes = " ".join([f"Trained under {trained_under}, to be compared with; not for use.", *filter(None, [notes])])
    scores = [json_object(path) for path in results]
    card = model_card(
        model,
        repo,
        results=scores,
        seeds=seeds or None,
        dataset_name=dataset,
        split=split,
        license=license,
        language=language,
        base_models=base_models or None,
        notes=notes,
        training=training_facts(checkpoint),
    )
    entry = None
    if dataset_id is not None:
        config = model.config
        names = [config.id2label[i] for i in range(config.num_labels)]
        entry = eval_result_entry(
            scores, dataset_id, task_id, seeds=seeds or None, split=split, negative=negative_of(config, names)
        )
    if to is not None:
        typer.echo(f"Wrote the files for the Hub to {save_for_hub(to, model, processor, card, handler, entry)}")
        return
    done = push_to_hub(repo, model, processor, card, handler=handler, eval_result=entry, private=private or None)
    typer.echo(done.commit_url)

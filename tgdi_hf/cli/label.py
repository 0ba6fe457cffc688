"""`tgdi label`."""

from itertools import chain, islice
from pathlib import Path
from typing import Annotated

import typer

from .arguments import check_posts_argument, negative_label, number_or_name
from .messages import counted, warn_if_empty
from .options import (
    BF16,
    Ambiguous,
    BatchSize,
    Checkpoint,
    EntityModel,
    Negative,
    NoNegative,
    PairOrder,
    Posts,
    RepeatedMention,
    Revision,
    Threshold,
    Truncation,
    Workers,
)
from .pipelines import load_pipeline


def label(
    checkpoint: Checkpoint,
    posts: Posts,
    output: Annotated[Path, typer.Argument(help="Output file of tasks (.json), which Label Studio imports.")],
    config: Annotated[
        Path | None,
        typer.Option(help="Also write the labelling configuration to this file (.xml).", show_default="none"),
    ] = None,
    ner: EntityModel = None,
    min_score: Annotated[float, typer.Option(min=0.0, max=1.0, help="Minimum probability of a relation.")] = 0.0,
    model_version: Annotated[
        str | None, typer.Option(help="Name of the model in Label Studio.", show_default="CHECKPOINT")
    ] = None,
    image_root: Annotated[
        Path | None,
        typer.Option(help="Folder at which image paths start in Label Studio.", show_default="that of the posts"),
    ] = None,
    image_prefix: Annotated[
        str, typer.Option(help="Prefix of image paths; the default is that of Label Studio's local storage.")
    ] = "/data/local-files/?d=",
    pairs: PairOrder = "auto",
    negative: Negative = None,
    no_negative: NoNegative = False,
    threshold: Threshold = None,
    truncation: Truncation = True,
    ambiguous: Ambiguous = RepeatedMention.error,
    batch_size: BatchSize = 16,
    workers: Workers = 2,
    revision: Revision = None,
    bf16: BF16 = False,
) -> None:
    """Predict the relations between all entities of posts, as pre-annotations that annotators correct in Label Studio.

    Rows with head and tail that follow each other and have the same text and image are one post.

    Example: tgdi label runs/demo posts.jsonl tasks.json --config label-studio.xml
    """
    from tqdm.auto import tqdm

    from ..data.post_stream import read_posts
    from ..inference.ner import token_classifier, with_entities
    from ..inference.pre_annotation import PreAnnotator, labelling_configuration, write_tasks

    if output.suffix.lower() != ".json":
        raise typer.BadParameter(f"{output}: expected a name that ends in .json.", param_hint="OUTPUT")
    check_posts_argument(posts)
    chosen = negative_label(negative, no_negative)
    pipe = load_pipeline(checkpoint, bf16, chosen, revision)
    rows = read_posts(posts, strict=False, need_entities=ner is None)
    first = list(islice(rows, 1))
    warn_if_empty(len(first), posts)
    given = chain(first, rows)
    named = given if ner is None else with_entities(given, token_classifier(ner, device=pipe.device), batch_size)
    skipped: list[str] = []

    def skip(error: str) -> None:
        skipped.append(error)
        typer.echo(f"skipped: {error}", err=True)

    label_posts = PreAnnotator(
        pipe,
        model_version or checkpoint,
        negative=chosen,
        min_score=min_score,
        image_root=image_root or (posts if posts.is_dir() else posts.parent),
        image_prefix=image_prefix,
        ambiguous=ambiguous.value,
        batch_size=batch_size,
        on_error=skip,
        num_workers=workers,
        pairs=number_or_name(pairs),
        threshold=threshold,
        truncation=truncation,
    )
    write_tasks(tqdm(label_posts(named), unit=" posts", disable=None), output)
    if config is not None:
        relations = [name for name in pipe.names if name != label_posts.negative]
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(labelling_configuration(relations, label_posts.types), encoding="utf-8")
    typer.echo(
        f"Wrote {counted(label_posts.tasks, 'task')} with {counted(label_posts.relations, 'relation')} to {output}"
    )
    if label_posts.images_left_out:
        typer.echo(
            f"{counted(label_posts.images_left_out, 'image')} left out: not a file that Label Studio can read", err=True
        )
    if skipped:
        typer.echo(f"{counted(len(skipped), 'post')} could not be used", err=True)
        if not label_posts.tasks:
            raise typer.Exit(1)

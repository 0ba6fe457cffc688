"""`tgdi triples`."""

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
    Compile,
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


def triples(
    checkpoint: Checkpoint,
    posts: Posts,
    output: Annotated[Path, typer.Argument(help="Output file: .jsonl, .csv, .parquet or .nt (N-Triples).")],
    ner: EntityModel = None,
    min_score: Annotated[float, typer.Option(min=0.0, max=1.0, help="Minimum probability of a triple.")] = 0.0,
    base: Annotated[str, typer.Option(help="Prefix of the IRIs in N-Triples.")] = "urn:tgdi:",
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
    compiled: Compile = False,
) -> None:
    """Extract triples from posts, one per row: post id, head, relation, tail and score; pairs without a relation are
    omitted.

    Example: tgdi triples runs/demo posts.jsonl triples.csv --min-score 0.5
    """
    from tqdm.auto import tqdm

    from ..data.post_stream import read_posts
    from ..data.row_writer import check_output
    from ..extras import require
    from ..inference.ner import token_classifier
    from ..inference.triple_files import write_triples
    from ..inference.triples import extract_triples

    check_posts_argument(posts)
    check_output(output, ".nt")
    if output.suffix.lower() == ".nt":
        require("rdflib", "rdf", "Writing N-Triples")
    pipe = load_pipeline(checkpoint, bf16, negative_label(negative, no_negative), revision, compiled=compiled)
    rows = read_posts(posts, strict=False, need_entities=ner is None)
    first = list(islice(rows, 1))
    warn_if_empty(len(first), posts)
    extracted = extract_triples(
        pipe,
        chain(first, rows),
        ner=None if ner is None else token_classifier(ner, device=pipe.device),
        min_score=min_score,
        batch_size=batch_size,
        num_workers=workers,
        pairs=number_or_name(pairs),
        threshold=threshold,
        truncation=truncation,
        ambiguous=ambiguous.value,
        on_error=lambda error: typer.echo(f"skipped: {error}", err=True),
    )
    count = write_triples(tqdm(extracted, unit=" triples", disable=None), output, base=base)
    if first:
        typer.echo(f"Wrote {counted(count, 'triple')} to {output}")

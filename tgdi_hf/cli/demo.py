"""`tgdi app` and `tgdi demo`."""

from pathlib import Path
from typing import Annotated

import typer

from .options import BF16, Checkpoint, Revision
from .pipelines import load_pipeline


def app(
    checkpoint: Checkpoint,
    host: Annotated[str, typer.Option(help="Network interface; '0.0.0.0' admits other machines.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the server.", show_default="first free port from 7860")] = 0,
    revision: Revision = None,
    bf16: BF16 = False,
) -> None:
    """Serve a web page to try a model. Needs gradio: the extra `demo`.

    Example: tgdi app runs/demo
    """
    from tempfile import TemporaryDirectory

    from ..extras import require

    require("gradio", "demo", "The page")
    from ..demo.app import run_app

    with TemporaryDirectory() as folder:
        run_app(
            load_pipeline(checkpoint, bf16, revision=revision),
            str(checkpoint),
            folder,
            server_name=host,
            server_port=port or None,
        )


def demo(
    seed: int = 0,
    output: Annotated[Path | None, typer.Option(help="Folder for the trained model.", show_default="none")] = None,
    dataset: Annotated[
        Path | None,
        typer.Option(
            help="Write the corpus into this new folder instead: Parquet and a dataset card, for `tgdi train`, "
            "`datasets.load_dataset` and the Hub. Nothing is trained.",
            show_default="none",
        ),
    ] = None,
    rows: Annotated[
        tuple[int, int, int] | None,
        typer.Option(help="Rows of train, validation and test.", show_default="4500 450 900"),
    ] = None,
) -> None:
    """Train a tiny TGDI and a text-only control from scratch on an embedded corpus, and predict one post.

    Example: tgdi demo
    """
    if dataset is not None and output is not None:
        raise ValueError("--output is for the trained model, but --dataset trains none. Leave one of them out.")
    from ..demo.corpus_schema import SPLITS

    sizes = None if rows is None else dict(zip(SPLITS, rows))
    if dataset is not None:
        from ..demo.corpus_dataset import write_dataset

        corpus = write_dataset(dataset, sizes, seed)
        print(f"{dataset}: {', '.join(f'{len(posts)} {split}' for split, posts in corpus.items())} posts.")
        return
    print("Loading PyTorch and transformers, and drawing a corpus of posts …", flush=True)
    from ..demo.demo import run_demo

    run_demo(seed=seed, output_dir=output, rows=sizes)

"""Prediction as stages of a Ray Data pipeline: Parquet in, Parquet out, on any number of machines.

    python examples/predict_with_ray.py runs/demo posts.parquet relations
    python examples/predict_with_ray.py user/model 's3://bucket/posts/' s3://bucket/relations --gpus 1 --actors 8

CPUs read posts, open images and make tensors of them; actors with a model each, one a GPU or a CPU slot, do the
rest. Needs `pip install "tgdi_hf[ray]"`. Rows come out in the order in which they went in, in the same batches as those
of `tgdi predict`, so the results are the same. Posts have text (or words), head and tail (or entities), and maybe image
(a path that all machines can read, or a struct with bytes), objects and caption. One that can't be used has the reason
in `error`.
"""

import argparse
from typing import Any

import pyarrow as arrow
import ray
import torch
from ray.data import SaveMode

from tgdi_hf import MultimodalRelationExtractionPipeline, TGDIForRelationExtraction, TGDIProcessor
from tgdi_hf.checkpoints import is_export
from tgdi_hf.export.pipeline_loading import load_pipeline
from tgdi_hf.inference.prediction_rows import as_table
from tgdi_hf.processing.post_reader import PostReader

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("checkpoint", help="a model, or a folder written by `tgdi export`")
parser.add_argument("posts", help="a Parquet file or a folder of them")
parser.add_argument("output", help="a folder for Parquet files")
parser.add_argument("--batch-size", type=int, default=16, help="posts per batch")
parser.add_argument("--batches", type=int, default=8, help="batches per block, the unit of work of a task")
parser.add_argument("--actors", type=int, default=1, help="copies of the model")
parser.add_argument("--gpus", type=float, default=0, help="GPUs per copy")


class Read:
    """Opens images and builds tensors; the output has one row per batch of posts."""

    def __init__(self, checkpoint: str):
        self.reader = PostReader(TGDIProcessor.from_pretrained(checkpoint))

    def __call__(self, rows: arrow.Table) -> dict[str, list[Any]]:
        return {"batch": [self.reader(enumerate(rows.to_pylist()), strict=False)]}


class Predict:
    """An actor with the model, or the graphs that `tgdi export` made of it."""

    def __init__(self, checkpoint: str):
        if is_export(checkpoint):
            self.pipe = load_pipeline(checkpoint)
            return
        model = TGDIForRelationExtraction.from_pretrained(checkpoint, dtype=torch.float32)
        processor = TGDIProcessor.from_pretrained(checkpoint)
        self.pipe = MultimodalRelationExtractionPipeline(model=model, processor=processor)

    def __call__(self, rows: dict[str, Any]) -> arrow.Table:
        results = []
        for batch in rows["batch"]:
            results += self.pipe.results(batch, strict=False)
        # A schema, or blocks in which a column is empty would be of another type.
        return as_table(results)


def main() -> None:
    args = parser.parse_args()
    ray.data.DataContext.get_current().execution_options.preserve_order = True
    # Actors hold their share of a CPU to the end: on a small machine nothing would be left for the tasks.
    model = {"num_gpus": args.gpus} if args.gpus else {"num_cpus": 0.5}
    relations = (
        ray.data.read_parquet(args.posts)
        # Blocks of whole batches, so that no batch depends on where a file was cut.
        .repartition(target_num_rows_per_block=args.batch_size * args.batches, strict=True)
        .map_batches(
            Read,
            fn_constructor_args=[args.checkpoint],
            batch_size=args.batch_size,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=8),
            num_cpus=0.5,
        )
        .map_batches(
            Predict,
            fn_constructor_args=[args.checkpoint],
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=args.actors),
            **model,
        )
    )
    relations.write_parquet(args.output, mode=SaveMode.ERROR)  # not beside what another run has written
    print(f"{ray.data.read_parquet(args.output).count():,} posts in {args.output}")


if __name__ == "__main__":
    main()

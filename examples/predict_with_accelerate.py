"""Prediction by several processes, one a GPU or a few on CPUs: Parquet in, one Parquet file out.

    accelerate launch examples/predict_with_accelerate.py user/model posts.parquet out.parquet      # every GPU there is
    torchrun --nproc_per_node 2 examples/predict_with_accelerate.py runs/demo posts.parquet out.parquet --cpu

Every process takes a stretch of the batches (`split_between_processes`) and writes its part; the main one joins them.
Batches are the same as those of one process, and so are the results.
"""

import argparse
from itertools import islice
from pathlib import Path

import pyarrow.parquet as parquet
import torch
from accelerate import PartialState
from tqdm.auto import tqdm
from transformers import pipeline

import tgdi_hf  # noqa: F401 - registers the pipeline
from tgdi_hf.data.post_stream import read_posts
from tgdi_hf.inference.prediction_rows import as_table

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("checkpoint")
parser.add_argument("posts", type=Path, help="a Parquet file")
parser.add_argument("output", type=Path)
parser.add_argument("--batch-size", type=int, default=16)
parser.add_argument("--cpu", action="store_true", help="even where there is a GPU")


def main() -> None:
    args = parser.parse_args()
    cpu = args.cpu or not torch.accelerator.is_available()
    state = PartialState(cpu=cpu)
    # In the precision of `tgdi predict`, whatever the checkpoint was saved in.
    pipe = pipeline("multimodal-relation-extraction", model=args.checkpoint, device=state.device, dtype=torch.float32)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    rows = parquet.ParquetFile(args.posts).metadata.num_rows
    part = args.output.with_name(f"{args.output.name}.{state.process_index}")

    # Whole batches, so that none depends on the number of processes.
    with state.split_between_processes(list(range(0, rows, args.batch_size))) as mine:
        first, last = (mine[0], mine[-1] + args.batch_size) if mine else (0, 0)
        posts = islice(read_posts(args.posts, strict=False, start=first), last - first)
        results = pipe(posts, batch_size=args.batch_size, num_workers=2, strict=False)
        with parquet.ParquetWriter(part, as_table([]).schema) as writer:
            results = tqdm(results, total=last - first, unit=" posts", disable=not state.is_main_process)
            while len(table := as_table(islice(results, 1024))):
                writer.write_table(table)

    state.wait_for_everyone()
    if state.is_main_process:
        parts = [args.output.with_name(f"{args.output.name}.{i}") for i in range(state.num_processes)]
        with parquet.ParquetWriter(args.output, as_table([]).schema) as writer:
            for path in parts:
                for batch in parquet.ParquetFile(path).iter_batches():
                    writer.write_batch(batch)
                path.unlink()
        print(f"{rows:,} posts in {args.output}, by {state.num_processes} processes")
    state.destroy_process_group()


if __name__ == "__main__":
    main()

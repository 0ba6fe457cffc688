"""Preparation of posts on a cluster, as stages of a Ray Data pipeline.

    python examples/prepare_with_ray.py posts.jsonl prepared
    python examples/prepare_with_ray.py posts.jsonl prepared --captioner Salesforce/blip-image-captioning-base --gpus 1

Stages: read the posts; find the distinct images and the phrases to detect in each; decode, ground and caption every
distinct image once, with each model in its own actors; join posts and results; write Parquet files and a report of
posts that could not be used. Prints the numbers of posts, distinct images and faults. Requires
`pip install "tgdi_hf[ray]"`. On one machine use `tgdi prepare`, which also resumes a killed run; on a cluster Ray
repeats lost tasks.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import ray
from PIL import Image
from ray.data.expressions import col

from tgdi_hf import ImageCaptioner, ObjectGrounder
from tgdi_hf.data.image_identity import digest_of
from tgdi_hf.processing.head_and_tail import text_and_spans
from tgdi_hf.processing.image_opening import open_image
from tgdi_hf.processing.query_phrases import queries_for

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument(
    "posts", type=Path, help="JSON Lines with text, head, tail and image (a path that every machine can read)"
)
parser.add_argument("output", type=Path)
parser.add_argument("--captioner", default="Salesforce/blip2-opt-2.7b")
parser.add_argument("--grounder", default="IDEA-Research/grounding-dino-tiny")
parser.add_argument("--batch-size", type=int, default=8)
parser.add_argument("--partitions", type=int, default=4, help="partitions of the shuffles; a few per CPU")
parser.add_argument("--actors", type=int, default=1, help="number of copies of each model")
parser.add_argument("--gpus", type=float, default=0, help="GPUs per copy; a fraction shares a GPU")

Rows = dict[str, np.ndarray]


class Scan:
    """Checks a post, identifies its image by content and makes the phrases to detect. Never reads a relation label."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __call__(self, post: dict[str, Any]) -> dict[str, Any]:
        image = post.get("image")
        post = {**post, "image": None, "image_hash": None, "query": None, "fault": None, "usable": False}
        try:
            text, in_text, (head, tail) = text_and_spans(post, f"post {post.get('id')}")
            post |= {"head": list(head), "tail": list(tail), "usable": True}
            if image:
                path = str(self.folder / image)
                post |= {"image_hash": digest_of(path), "image": path}
                post["query"] = json.dumps(queries_for(text, in_text), ensure_ascii=False)
        except (ValueError, OSError) as error:
            post["fault"] = str(error)
        return post


def distinct(posts: pd.DataFrame) -> pd.DataFrame:
    """Reduces the posts with the same image to one row with the image and all queries."""
    queries = json.dumps(sorted(set(posts["query"])))
    return pd.DataFrame({name: [posts[name].iloc[0]] for name in ("image_hash", "image")} | {"queries": [queries]})


def decode(row: dict[str, Any]) -> dict[str, Any]:
    """Opens an image; an image that cannot be opened becomes an empty array with the error."""
    try:
        return {**row, "pixels": np.asarray(open_image(row["image"], row["image"])), "error": ""}
    except ValueError as error:
        return {**row, "pixels": np.zeros((0, 0, 3), np.uint8), "error": str(error)}


class Ground:
    """An actor that detects objects."""

    def __init__(self, name: str):
        self.grounder = ObjectGrounder.from_pretrained(name)

    def __call__(self, rows: Rows) -> Rows:
        answers: list[dict[str, Any]] = [{} for _ in rows["image_hash"]]
        batch = [
            (i, Image.fromarray(pixels), query)
            for i, (pixels, queries) in enumerate(zip(rows["pixels"], rows["queries"]))
            if len(pixels)
            for query in json.loads(queries)
        ]
        if batch:
            found = self.grounder([image for _, image, _ in batch], [json.loads(query) for *_, query in batch])
            for (i, _, query), objects in zip(batch, found, strict=True):
                answers[i][query] = objects
        return {**rows, "objects_by_query": np.array([json.dumps(answer) for answer in answers], dtype=object)}


class Caption:
    """An actor that captions images."""

    def __init__(self, name: str):
        self.captioner = ImageCaptioner.from_pretrained(name)

    def __call__(self, rows: Rows) -> Rows:
        images = [Image.fromarray(pixels) for pixels in rows["pixels"] if len(pixels)]
        captions = iter(self.captioner(images) if images else [])
        texts = np.array([next(captions) if len(pixels) else "" for pixels in rows["pixels"]], dtype=object)
        # Drop the pixels: no later stage reads them.
        return {name: rows[name] for name in ("image_hash", "error", "objects_by_query")} | {"caption": texts}


def finish(row: dict[str, Any]) -> dict[str, Any]:
    """Adds the objects detected for the phrases of a post."""
    objects = json.loads(row.pop("objects_by_query") or "{}").get(row.pop("query"), [])
    error = row.pop("error")
    if error:
        row |= {"image": None, "fault": error}
    columns = {"objects": "box", "object_scores": "score", "object_phrases": "phrase"}
    return {**row, **{name: [part[of] for part in objects] for name, of in columns.items()}}


def main() -> None:
    args = parser.parse_args()
    # Actors hold their CPUs until the end: with whole CPUs, a small machine would have none left for the tasks.
    actors = {"compute": ray.data.ActorPoolStrategy(size=args.actors), "batch_size": args.batch_size, "num_cpus": 0.25}
    actors |= {"num_gpus": args.gpus} if args.gpus else {}
    scan = Scan(args.posts.parent.absolute())
    posts = ray.data.read_json(str(args.posts), file_extensions=None).map(scan).materialize()
    results = (
        posts.filter(expr=col("image_hash").is_not_null())
        .select_columns(["image_hash", "image", "query"])
        .groupby("image_hash", num_partitions=args.partitions)
        .map_groups(distinct, batch_format="pandas")
        .map(decode)
        .map_batches(Ground, fn_constructor_args=[args.grounder], **actors)
        .map_batches(Caption, fn_constructor_args=[args.captioner], **actors)
        .materialize()
    )
    prepared = posts.join(results, join_type="left_outer", num_partitions=args.partitions, on=("image_hash",)).map(
        finish
    )
    prepared = prepared.materialize()
    usable = prepared.filter(expr=col("usable") == True)  # noqa: E712 - an expression, not a comparison
    usable.drop_columns(["fault", "usable"]).write_parquet(str(args.output / "parquet"))
    faults = prepared.filter(expr=col("fault").is_not_null()).select_columns(["id", "fault"]).take_all()
    faults.sort(key=lambda fault: str(fault["id"]))  # the join does not keep the order
    report = "".join(json.dumps(fault, ensure_ascii=False) + "\n" for fault in faults)
    (args.output / "report.jsonl").write_text(report, encoding="utf-8")
    print(f"{posts.count():,} posts, {results.count():,} distinct images, {len(faults):,} faults; {args.output}")


if __name__ == "__main__":
    main()

"""Overhead of `prepare` without its models: many posts, stub models, one core.

    python examples/benchmark_prepare.py FOLDER                      # 100,000 posts, 10,000 images
    python examples/benchmark_prepare.py FOLDER --rows 1000 --images 100

Prints the time of a first run, the time of opening the same images, the remaining time per distinct image, the time of
a second run with a full cache, and the peak memory.
"""

import argparse
import json
import resource
import shutil
import sys
import time
from pathlib import Path

import datasets
import numpy as np
from PIL import Image

from tgdi_hf.data.loading import read_table
from tgdi_hf.preparation.prepare import prepare
from tgdi_hf.processing.image_opening import open_image

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder", type=Path, help="folder for images, cache and output; about 0.5 GB")
parser.add_argument("--rows", type=int, default=100_000)
parser.add_argument("--images", type=int, default=10_000)


class StubCaptioner:
    """Returns results without computation."""

    settings = {"model": "stub"}

    def __call__(self, images):
        return [f"an image of {image.width} by {image.height}" for image in images]


class StubGrounder:
    """Returns results without computation."""

    settings = {"model": "stub"}

    def __call__(self, images, phrases):
        return [[{"box": [0, 0, 100, 100], "score": 0.5, "phrase": row[0]}] for _, row in zip(images, phrases)]


def draw(folder: Path, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    x, y = np.meshgrid(np.arange(640), np.arange(480))
    for i in range(count):
        path = folder / f"{i}.jpg"
        if not path.exists():
            pixels = np.stack([(x + i) % 256, (y * 2 + i // 256) % 256, (x + y) % 256], axis=-1)
            Image.fromarray(pixels.astype(np.uint8)).save(path, quality=85)


def write_posts(path: Path, rows: int, images: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        for i in range(rows):
            image = i % images
            # The posts with the same image have the same text, like retweets.
            text = f"RT @someone : Ann{image} Example meets Bob Sample at the old harbour of Port {image} today #party"
            head, tail = text.index("Ann"), text.index("Bob")
            post = {
                "id": str(i),
                "text": text,
                "head": [head, head + 11],
                "tail": [tail, tail + 10],
                "image": f"images/{image}.jpg",
                "relation": "None",
            }
            file.write(json.dumps(post) + "\n")


def main() -> None:
    args = parser.parse_args()
    datasets.disable_progress_bars()
    draw(args.folder / "images", args.images)
    posts = args.folder / "posts.jsonl"
    write_posts(posts, args.rows, args.images)
    for name in ("cache", "tables", "first", "second"):
        shutil.rmtree(args.folder / name, ignore_errors=True)

    def run(name: str) -> float:
        started = time.perf_counter()
        table = read_table(posts, cache_dir=args.folder / "tables")
        done = prepare(
            table,
            args.folder / name,
            StubCaptioner(),
            StubGrounder(),
            cache=args.folder / "cache",
            image_folder=args.folder,
            num_workers=1,
            progress=False,
        )
        seconds = time.perf_counter() - started
        print(f"{name} run: {seconds:.1f} s; {done.summary().splitlines()[0]}")
        return seconds

    first = run("first")
    started = time.perf_counter()
    for i in range(args.images):
        open_image(str(args.folder / "images" / f"{i}.jpg"), "image")
    opening = time.perf_counter() - started
    print(f"opening the {args.images:,} images alone: {opening:.1f} s")
    print(f"around the models: {1000 * (first - opening) / args.images:.2f} ms a distinct image")
    second = run("second")
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
    print(f"second run over the cache: {second:.1f} s; peak memory {peak:.2f} GiB")


if __name__ == "__main__":
    main()

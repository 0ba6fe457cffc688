"""Measures the way from JPEG files to tensors: torch's resampling against the image processor by itself.

    python examples/benchmark_images.py path/to/checkpoint

Sixteen posts, each with a JPEG of 1,000 × 700 pixels and three boxes, hence four images of the encoder's size per post,
in one process and one thread. Both ways run in turn; processor time is reported, which other processes disturb least.
Then follow the differences in pixel values and vision features. The results are in `examples/results/images.md`.
"""

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image

from tgdi_hf import TGDIForRelationExtraction, TGDIProcessor

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("checkpoint")
parser.add_argument("--posts", type=int, default=16)
parser.add_argument("--rounds", type=int, default=5)

SIZE = (1000, 700)
BOXES = [[100, 100, 400, 500], [300, 50, 900, 650], [0, 0, 500, 700]]
# Cell size in pixels and weight of each layer of noise.
OCTAVES = {200: 0.5, 50: 0.25, 12: 0.15, 3: 0.1}
# An option of its own makes the image processor run by itself; its value is the default.
WAYS = {"torch's kernel": {}, "image processor": {"do_rescale": True}}


def draw(folder: Path, count: int) -> list[str]:
    """Images with structure at all scales, like photos, of about 125 kB."""
    random, files = np.random.default_rng(0), []
    for i in range(count):
        layers = []
        for cell, weight in OCTAVES.items():
            coarse = random.integers(0, 256, (SIZE[1] // cell + 1, SIZE[0] // cell + 1, 3), dtype=np.uint8)
            layer = Image.fromarray(coarse).resize(SIZE, Image.Resampling.BICUBIC)
            layers.append(weight * np.asarray(layer, dtype=np.float32))
        files.append(str(folder / f"{i}.jpg"))
        Image.fromarray(sum(layers).astype(np.uint8)).save(files[-1], quality=88)
    return files


def main() -> None:
    args = parser.parse_args()
    torch.set_num_threads(1)
    processor = TGDIProcessor.from_pretrained(args.checkpoint)
    with TemporaryDirectory() as folder:
        images = draw(Path(folder), args.posts)
        posts = {
            "text": ["Ann meets Bob"] * args.posts,
            "head": [(0, 3)] * args.posts,
            "tail": [(10, 13)] * args.posts,
            "images": images,
            "objects": [BOXES] * args.posts,
            "share_images": True,
        }
        pixels, seconds = {}, {way: [] for way in WAYS}
        for turn in range(args.rounds + 1):
            for way, options in WAYS.items():
                began = time.process_time()
                pixels[way] = processor(**posts, **options)["pixel_values"]
                if turn:
                    seconds[way].append(time.process_time() - began)
    best = {way: args.posts / min(taken) for way, taken in seconds.items()}
    for way, rate in best.items():
        print(f"{way:<16} {rate:6.1f} posts per second of processor time")
    fast, plain = pixels.values()
    model = TGDIForRelationExtraction.from_pretrained(args.checkpoint).eval()
    with torch.inference_mode():
        one, two = (model.get_vision_features(values) for values in (fast[:16], plain[:16]))
    level = 1 / 255 / min(processor.image_processor.image_std)
    rates = [*best.values()]
    print(f"{rates[0] / rates[1]:.1f} times as fast")
    share, most = (fast != plain).float().mean(), (fast - plain).abs().max() / level
    print(f"pixel values: {100 * share:.2f} % differ, by at most {most:.2f} levels of 255")
    print(
        f"vision features: differences of {(one - two).abs().max() / two.abs().mean():.4f} at most and "
        f"{(one - two).abs().mean() / two.abs().mean():.6f} on average, relative to the mean magnitude"
    )


if __name__ == "__main__":
    main()

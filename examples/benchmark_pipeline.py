"""Measures the overhead of the pipeline over the model, of all entity pairs of a post, and import times.

    python examples/benchmark_pipeline.py path/to/text_encoder path/to/vision_encoder
    python examples/benchmark_pipeline.py bert-base-uncased openai/clip-vit-base-patch32

1. Sixteen posts, each with its own decoded image: processor and forward pass in one batch, against the pipeline, which
   also validates posts, locates entities and formats results. Overhead is relative to the forward pass alone.
2. One post with six entities and an image: its 30 ordered pairs in one call, against 30 calls with head and tail.
3. `import tgdi_hf` and `tgdi --help` in new processes, beside transformers and torch.

Steps run in turn, and medians are compared. The results are in `examples/results/pipeline.md`.
"""

import argparse
import subprocess
import sys
import time
from itertools import permutations
from statistics import median

import numpy as np
import torch
from PIL import Image
from transformers import set_seed

from tgdi_hf import RELATIONS, MultimodalRelationExtractionPipeline, TGDIForRelationExtraction, TGDIProcessor

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("text_model")
parser.add_argument("vision_model")
parser.add_argument("--batch-size", type=int, default=16)
parser.add_argument("--rounds", type=int, default=9)

NAMES = ["Ann Lee", "Bob Ray", "Harvard", "Boston", "Eve Kim", "Rome"]
TEXT = "Ann Lee and Bob Ray of Harvard in Boston met Eve Kim in Rome this morning #blessed what a day"
IMPORTS = {
    "import transformers": "import transformers",
    "import torch": "import torch",
    "import tgdi_hf": "import tgdi_hf",
    "import tgdi_hf and its model": "from tgdi_hf import TGDIForRelationExtraction",
    "transformers' own BertModel": "from transformers import BertModel",
    "tgdi --help": "import sys; sys.argv = ['tgdi', '--help']; from tgdi_hf.cli.main import app; app()",
}


def seconds(function) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def alternate(functions: dict, rounds: int) -> dict[str, float]:
    """Median seconds per function; functions run in turn, after one warm-up round."""
    times = {name: [] for name in functions}
    for turn in range(rounds + 1):
        for name, function in functions.items():
            elapsed = seconds(function)
            if turn:
                times[name].append(elapsed)
    return {name: median(elapsed) for name, elapsed in times.items()}


def main() -> None:
    args = parser.parse_args()
    set_seed(0)
    processor = TGDIProcessor.from_text_vision_pretrained(args.text_model, args.vision_model)
    model = TGDIForRelationExtraction.from_text_vision_pretrained(
        args.text_model, args.vision_model, tokenizer=processor.tokenizer, id2label=dict(enumerate(RELATIONS))
    )
    pipe = MultimodalRelationExtractionPipeline(model=model, processor=processor, device="cpu")
    random = np.random.default_rng(0)
    images = [Image.fromarray(random.integers(0, 255, (300, 400, 3), np.uint8)) for _ in range(args.batch_size)]
    posts = [{"text": TEXT, "head": NAMES[0], "tail": NAMES[i % 5 + 1], "image": p} for i, p in enumerate(images)]
    spans = [
        [(TEXT.index(post[name]), TEXT.index(post[name]) + len(post[name])) for post in posts]
        for name in ("head", "tail")
    ]
    encode = lambda: processor(  # noqa: E731
        text=[TEXT] * len(posts), head=spans[0], tail=spans[1], images=images, share_images=True
    )
    inputs = encode()

    def forward(given):
        with torch.inference_mode():
            return model(**given)

    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, batch of {args.batch_size}")
    found = alternate(
        {
            "model": lambda: forward(inputs),
            "processor and model": lambda: forward(encode()),
            "pipeline": lambda: pipe(posts, batch_size=args.batch_size),
        },
        args.rounds,
    )
    for name, elapsed in found.items():
        print(f"  {name:<22} {1000 * elapsed:8.0f} ms")
    over = found["pipeline"] - found["processor and model"]
    print(f"  pipeline over processor and model: {100 * over / found['model']:+.1f} % of the model's time")
    print(f"  pipeline over the model alone:     {100 * (found['pipeline'] / found['model'] - 1):+.1f} %")

    together = {"text": TEXT, "entities": NAMES, "image": images[0]}
    apart = [{"text": TEXT, "head": a, "tail": b, "image": images[0]} for a, b in permutations(NAMES, 2)]
    found = alternate({"together": lambda: pipe(together), "apart": lambda: [pipe(post) for post in apart]}, 3)
    print(
        f"30 ordered pairs of 6 entities: together {found['together']:.2f} s, by 30 calls {found['apart']:.2f} s, "
        f"{found['apart'] / found['together']:.1f} times as fast"
    )

    def run(code: str) -> None:
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)

    runs = {name: lambda code=code: run(code) for name, code in IMPORTS.items()}
    for name, elapsed in alternate(runs, args.rounds).items():
        print(f"{name + ':':<30} {elapsed:.2f} s")


if __name__ == "__main__":
    main()

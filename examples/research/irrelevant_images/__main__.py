"""Does the matching gate suppress irrelevant images? A controlled benchmark on the embedded corpus.

    python -m examples.research.irrelevant_images run --results mine        # all models, 5 seeds; resumable
    python -m examples.research.irrelevant_images collect --results mine    # tables and figure, in that folder
    python -m examples.research.irrelevant_images search --results mine     # the share of swapped images, on validation

Half of the posts are unambiguous without their image. All models are trained where every image fits (`--shares` has
irrelevant ones in training, too), with or without swapped images, and tested where the share of irrelevant images among
these posts is 0 to 1; half of these show the scene of another relation, and in one more test all of them. Posts that
need their image have the right one. Every run trains a tiny model from scratch and writes a JSON file;
several processes can share the work.
"""

import argparse
import itertools
import json
from pathlib import Path
from tempfile import gettempdir

from filelock import FileLock, Timeout

from examples.research.reproduce.collect import refuse_unlike
from examples.research.reproduce.train import write
from tgdi_hf.data.image_identity import digest_of

from .models import MODELS
from .runs import ROWS, run
from .tables import collect

RESULTS = Path(__file__).parents[1] / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["run", "collect", "search"])
    parser.add_argument("--results", type=Path, default=RESULTS / "irrelevant_images")
    parser.add_argument("--seeds", type=int, nargs="+", default=range(5))
    parser.add_argument("--shares", type=float, nargs="+", default=[0.0], help="in training")
    parser.add_argument("--models", nargs="+", choices=MODELS, help="default: all; the robust one to search")
    parser.add_argument("--swapped", type=float, nargs="+", default=[0.1, 0.15, 0.2, 0.3], help="shares to search")
    parser.add_argument("--epochs", type=float, default=5)
    args = parser.parse_args()
    args.results.mkdir(parents=True, exist_ok=True)
    if args.command == "collect":
        print(collect(args.results))
        return
    search = args.command == "search"
    models = args.models or (["TGDI, robust"] if search else list(MODELS))
    for seed, share, name, swapped in itertools.product(
        args.seeds, args.shares, models, args.swapped if search else [None]
    ):
        if name == "text only":
            share = 0.5  # does not affect a model without images: trained once
        stem = f"{name.replace(', ', '-').replace(' ', '-')}-{100 * share:g}"
        file = args.results / (f"search/{stem}-{100 * swapped:g}-{seed}.json" if search else f"{stem}-{seed}.json")
        file.parent.mkdir(exist_ok=True)
        try:
            # The lock ends with the process, so a killed run leaves nothing to clean up.
            with FileLock(Path(gettempdir(), f"{digest_of(str(file.resolve()).encode())}.lock"), timeout=0):
                if file.exists():  # must be the requested run
                    there = {"swap_images": 0.0, **json.loads(file.read_text(encoding="utf-8"))}
                    wanted = {"epochs": args.epochs, "rows": ROWS, "options": MODELS[name].options}
                    wanted["swap_images"] = MODELS[name].swap_images if swapped is None else swapped
                    for what, value in wanted.items():
                        refuse_unlike(str(file), what, [there.get(what), value])
                    continue
                result = run(name, seed, share, args.epochs, swapped=swapped, split="validation" if search else "test")
                write(result, file)
                print(name, seed, share, swapped or "", result["test"], flush=True)
        except Timeout:
            continue


if __name__ == "__main__":
    main()

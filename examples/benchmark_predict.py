"""Measures memory and crash safety of `tgdi predict` over 100,000 posts.

    make demo                                       # trains a tiny model in runs/demo
    python examples/benchmark_predict.py runs/demo

1. Writes a file of posts, most of them without image, runs `tgdi predict` on it, and samples resident memory (VmRSS of
   /proc, hence Linux only) and the number of finished rows.
2. Runs it again, kills it (SIGKILL) at five random moments, resumes each time, and compares the files byte by byte.

The results are in `examples/results/predict.md`.
"""

import argparse
import json
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tgdi_hf import make_corpus

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("checkpoint")
parser.add_argument("--rows", type=int, default=100_000)
parser.add_argument("--kills", type=int, default=5)
parser.add_argument("--format", default="jsonl", choices=["jsonl", "csv", "parquet"], help="output format")
parser.add_argument("--seed", type=int, default=0)


def make_posts(folder: Path, rows: int, seed: int) -> Path:
    """Repeated posts of the embedded corpus, one tenth with an image, one in a thousand unusable."""
    corpus = make_corpus()["test"]
    chance = random.Random(seed)
    lines, images = [], []
    for row in corpus:
        post = {name: row[name] for name in ("text", "head", "tail", "caption")}
        lines.append(post)
        if row["image"] is not None and len(images) < 20:
            images.append(f"{row['id']}.png")
            row["image"].save(folder / images[-1])
    with (folder / "posts.jsonl").open("w") as file:
        for number in range(rows):
            post = {"id": number, **chance.choice(lines)}
            if chance.random() < 0.1:
                post["image"] = chance.choice(images)
            if chance.random() < 0.001:
                post["tail"] = [0, 9999]
            file.write(json.dumps(post) + "\n")
    return folder / "posts.jsonl"


def start(checkpoint: str, posts: Path, output: Path, *options: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "tgdi_hf", "predict", checkpoint, str(posts), str(output), *options]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def done_rows(output: Path) -> int:
    try:
        return json.loads(output.with_name(output.name + ".journal").read_text())["rows"]
    except (FileNotFoundError, json.JSONDecodeError):
        return 0


def resident(process: subprocess.Popen) -> float:
    """Resident memory in MiB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def watch(process: subprocess.Popen, output: Path) -> list[tuple[int, float]]:
    """Samples of finished rows and resident memory in MiB, twice per second."""
    samples = []
    while process.poll() is None:
        rows = done_rows(output)
        try:
            samples.append((rows, resident(process)))
        except (FileNotFoundError, TypeError):  # the process has just ended
            break
        time.sleep(0.5)
    if process.wait():
        raise SystemExit(f"tgdi predict exited with code {process.returncode}")
    return samples


def main() -> None:
    args = parser.parse_args()
    with TemporaryDirectory() as folder:
        folder = Path(folder)
        posts = make_posts(folder, args.rows, args.seed)
        whole, other = folder / f"whole.{args.format}", folder / f"other.{args.format}"

        began = time.perf_counter()
        samples = watch(start(args.checkpoint, posts, whole), whole)
        seconds = time.perf_counter() - began
        late = [memory for rows, memory in samples if rows >= args.rows / 10]
        print(f"{args.rows:,} rows in {seconds:.0f} s, {args.rows / seconds:.0f} rows/s, loading included")
        for tenth in range(1, 10):
            memory = next(memory for rows, memory in samples if rows >= args.rows * tenth / 10)
            print(f"  row {args.rows * tenth // 10:>7,}: {memory:.0f} MiB")
        first, least, most = late[0], min(late), max(late)
        print(
            f"from row {args.rows // 10:,} on: {least:.0f} to {most:.0f} MiB, "
            f"{100 * (least / first - 1):+.1f} % to {100 * (most / first - 1):+.1f} % of the first of them"
        )

        chance, killed = random.Random(args.seed), []
        for target in sorted(chance.sample(range(args.rows * 95 // 100), args.kills)):
            process = start(args.checkpoint, posts, other, "--resume")
            while done_rows(other) < target:
                time.sleep(0.02)
            time.sleep(chance.random())  # at some moment between two saves
            process.send_signal(signal.SIGKILL)
            if process.wait() != -signal.SIGKILL:
                raise SystemExit("tgdi predict exited before it was killed")
            killed.append(done_rows(other))
        start(args.checkpoint, posts, other, "--resume").wait()
        same = whole.read_bytes() == other.read_bytes()
        errors = [path.with_name(f"{path.name}.errors.jsonl").read_bytes() for path in (whole, other)]
        print(f"killed with {', '.join(f'{rows:,}' for rows in killed)} rows saved; resumed: ", end="")
        print("the files are identical" if same and errors[0] == errors[1] else "THE FILES DIFFER")
        print(f"unusable rows, with reasons: {errors[0].count(b'error')}")


if __name__ == "__main__":
    main()

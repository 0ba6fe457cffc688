"""Measures memory and crash safety of `tgdi predict` over 100,000 posts, and the gain of batches of like length.

    make demo                                       # trains a tiny model in runs/demo
    python examples/benchmark_predict.py runs/demo
    python examples/benchmark_predict.py runs/mine --posts posts.jsonl --speed 2

1. Writes a file of posts, most of them without image, runs `tgdi predict` on it, and samples resident memory (VmRSS of
   /proc, hence Linux only) and the number of finished rows.
2. Runs it again, kills it (SIGKILL) at five random moments, resumes each time, and compares the files byte by byte.

With `--speed ROUNDS` it runs instead, in turn, `--window 1`, which keeps posts in their order, and the default, which
sorts them by length, and prints seconds and processor seconds, loading included, and the number of equal answers.

The results are in `examples/results/predict.md`.
"""

import argparse
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from tgdi_hf import make_corpus

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("checkpoint")
parser.add_argument("--rows", type=int, default=100_000)
parser.add_argument("--posts", type=Path, help="file of posts (.jsonl) instead of those of the embedded corpus")
parser.add_argument("--speed", type=int, metavar="ROUNDS", help="only compare the speed with and without sorting")
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


def copy_posts(file: Path, folder: Path, rows: int) -> Path:
    """The first rows of a file of posts."""
    with file.open() as given, (folder / "posts.jsonl").open("w") as copied:
        copied.writelines(islice(given, rows))
    for path in file.parent.iterdir():  # relative paths of images start at the folder of the file
        if path != file:
            (folder / path.name).symlink_to(path.resolve())
    return folder / "posts.jsonl"


def compare_speed(checkpoint: str, posts: Path, folder: Path, rounds: int) -> None:
    """Runs with and without sorting by length in turn."""
    runs = {"in the order of the file": ("--window", "1"), "sorted by length": ()}
    seconds = {name: [] for name in runs}
    answers = {}
    for _ in range(rounds):
        for name, options in runs.items():
            output = folder / "speed.jsonl"
            output.unlink(missing_ok=True)
            began, used = time.perf_counter(), processor_seconds()
            if start(checkpoint, posts, output, *options).wait():
                raise SystemExit("tgdi predict failed")
            seconds[name].append((time.perf_counter() - began, processor_seconds() - used))
            answers[name] = [json.loads(line) for line in output.open()]
            wall, processor = seconds[name][-1]
            print(
                f"{name}: {wall:.1f} s, {processor:.1f} s of processor time, load {os.getloadavg()[0]:.1f}", flush=True
            )
    for i, unit in enumerate(("seconds", "processor seconds")):
        before, after = (min(taken[i] for taken in found) for found in seconds.values())
        print(f"{unit}, best of {rounds}: {before:.1f} and {after:.1f}, {before / after:.2f} times as fast")
    one, two = answers.values()
    if [row["row"] for row in one] != [row["row"] for row in two]:
        raise SystemExit("THE ROWS DIFFER")
    relations = [[[p["relation"] for p in row.get("pairs", [row])] for row in rows] for rows in (one, two)]
    equal = sum(map(list.__eq__, *relations))
    apart = max(abs(a["score"] - b["score"]) for a, b in zip(one, two) if "score" in a)
    print(f"{equal:,} of {len(one):,} answers are equal, scores within {apart:.1g}")


def processor_seconds() -> float:
    """Processor time of all finished child processes."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


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
        if args.posts:
            posts = copy_posts(args.posts, folder, args.rows)
            args.rows = sum(1 for _ in posts.open())
        else:
            posts = make_posts(folder, args.rows, args.seed)
        if args.speed:
            compare_speed(args.checkpoint, posts, folder, args.speed)
            return
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

"""Loads `tgdi serve` on this machine, and compares every answer with that of the pipeline.

    make demo                                       # trains a tiny model in runs/demo
    pip install 'tgdi_hf[serve]' httpx
    python examples/load_test.py runs/demo

1. Speed: requests one by one, then from several clients at once, with and without batches.
2. Memory: resident memory of the server (VmRSS of /proc, hence Linux only) over 20,000 requests of 64 clients.
3. Faults: invalid requests between valid ones, the server killed (SIGKILL) and started again, the server stopped
   (SIGTERM) while 64 clients send requests. Each client repeats what was refused or cut off; no answer may be missing
   or belong to another request.

Each request has a number of its own, which its answer has to repeat, beside entities, relation and score of its post.
"""

import argparse
import asyncio
import base64
import io
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx
from transformers import pipeline

from tgdi_hf import make_corpus
from tgdi_hf.checkpoints import is_export
from tgdi_hf.export.pipeline_loading import load_pipeline

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("checkpoint")
parser.add_argument("--parts", nargs="+", default=["speed", "memory", "faults"], choices=["speed", "memory", "faults"])
parser.add_argument("--requests", type=int, default=1000, help="requests per measurement of speed, and with each fault")
parser.add_argument("--memory", type=int, default=20_000, help="requests of the measurement of memory")
parser.add_argument("--clients", type=int, default=64)
parser.add_argument("--images", type=float, default=0.25, help="share of the posts that have an image")
NO_TLS = ssl.create_default_context()  # making one takes longer than a request
TOLERANCE = 1e-4  # of a score: a batch of another shape rounds differently


class Server:
    """A process that runs `tgdi serve`."""

    def __init__(self, checkpoint: str, *options: str, port: int = 0):
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "tgdi_hf.cli.main", "serve", checkpoint, "--port", str(self.port), *options]
        start = time.perf_counter()
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while not self.is_ready():
            if self.process.poll() is not None:
                raise SystemExit(f"The server ended with status {self.process.returncode}: {' '.join(command)}")
            time.sleep(0.2)
        self.seconds_to_start = time.perf_counter() - start

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health") as answer:
                return answer.status == 200
        except OSError:
            return False

    def megabytes(self) -> float:
        with open(f"/proc/{self.process.pid}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024

    def metrics(self) -> dict[str, float]:
        with urllib.request.urlopen(f"{self.url}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


@dataclass
class Load:
    """Clients that send requests with the numbers from `first` on; `invalid` of them are invalid posts."""

    url: str
    posts: list[dict[str, Any]]
    expected: list[dict[str, Any]]
    invalid: int = 0  # every so many requests; 0: none
    seconds: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    repeated: Counter = field(default_factory=Counter)
    finished: int = 0

    async def run(self, requests: int, clients: int) -> float:
        numbers = iter(range(requests))
        start = time.perf_counter()
        await asyncio.gather(*(self.client(numbers) for _ in range(clients)))
        assert self.finished == requests, f"{requests - self.finished} answers are missing"
        return requests / (time.perf_counter() - start)

    async def client(self, numbers: Any) -> None:
        async with httpx.AsyncClient(base_url=self.url, timeout=60, verify=NO_TLS) as client:
            for number in numbers:
                post = {**self.posts[number % len(self.posts)], "id": number}
                is_invalid = bool(self.invalid) and number % self.invalid == 0
                if is_invalid:
                    post["tail"] = "Nixon"
                start = time.perf_counter()
                while True:
                    try:
                        answer = await client.post("/predict", json={"inputs": post})
                    except httpx.TransportError as error:
                        self.repeated[type(error).__name__] += 1
                    else:
                        if answer.status_code not in (429, 503):
                            break
                        self.repeated[answer.status_code] += 1
                    await asyncio.sleep(1)
                self.seconds.append(time.perf_counter() - start)
                self.check(number, answer, is_invalid)
                self.finished += 1

    def check(self, number: int, answer: httpx.Response, is_invalid: bool) -> None:
        found, expected = answer.json(), self.expected[number % len(self.posts)]
        if is_invalid:
            right = answer.status_code == 422 and (found["id"], found["field"]) == (number, "tail")
        else:
            right = (
                answer.status_code == 200
                and found["id"] == number
                and all(found[name] == expected[name] for name in ("head", "tail", "relation"))
                and abs(found["score"] - expected["score"]) < TOLERANCE
            )
        if not right:
            self.wrong.append(f"{number}: {answer.status_code} {found}, expected {expected}")

    def milliseconds(self, share: float) -> float:
        return 1000 * sorted(self.seconds)[int(share * (len(self.seconds) - 1))]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def make_posts(share_of_images: float) -> list[dict[str, Any]]:
    """Posts of the embedded corpus, as requests contain them."""
    posts = []
    for number, row in enumerate(make_corpus()["test"]):
        post = {name: row[name] for name in ("text", "head", "tail", "caption")}
        if row["image"] is not None and number % 100 < 100 * share_of_images:
            content = io.BytesIO()
            row["image"].save(content, "PNG")
            post["image"] = base64.b64encode(content.getvalue()).decode()
        posts.append(post)
    return posts


def pipeline_answers(checkpoint: str, posts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    pipe = load_pipeline(checkpoint) if is_export(checkpoint) else pipeline(
        "multimodal-relation-extraction", model=checkpoint
    )  # fmt: skip
    given = [{**post, "image": decoded(post.get("image"))} for post in posts]
    return pipe(given)


def decoded(image: str | None) -> dict[str, bytes] | None:
    return None if image is None else {"bytes": base64.b64decode(image)}


def report(load: Load) -> None:
    if load.wrong:
        raise SystemExit(f"{len(load.wrong)} of {load.finished} answers are wrong:\n" + "\n".join(load.wrong[:5]))


def measure_speed(checkpoint: str, posts, expected, requests: int, clients: int) -> None:
    print("| clients | options | requests/s | p50 ms | p99 ms | posts per batch | CPU ms of the server per request |")
    print("|---|---|---|---|---|---|---|")
    runs = {(): (1, 8, clients), ("--max-wait-ms", "0"): (1,), ("--max-batch", "1"): (clients,)}
    for options, numbers in runs.items():
        server = Server(checkpoint, *options)
        for number in numbers:
            asyncio.run(Load(server.url, posts, expected).run(64, number))  # warm
            load, before = Load(server.url, posts, expected), server.metrics()
            rate = asyncio.run(load.run(requests, number))
            report(load)
            spent = {name: value - before.get(name, 0) for name, value in server.metrics().items()}
            batch = spent["tgdi_batch_posts_sum"] / spent["tgdi_batch_posts_count"]
            print(
                f"| {number} | {' '.join(options) or 'defaults'} | {rate:.0f} | {load.milliseconds(0.5):.0f} "
                f"| {load.milliseconds(0.99):.0f} | {batch:.1f} "
                f"| {1000 * spent['process_cpu_seconds_total'] / requests:.1f} |",
                flush=True,
            )
        server.end()


def measure_memory(checkpoint: str, posts, expected, requests: int, clients: int) -> None:
    server = Server(checkpoint)
    load = Load(server.url, posts, expected)
    samples = {}

    async def sample() -> None:
        while load.finished < requests:
            samples[load.finished] = server.megabytes()
            await asyncio.sleep(1)

    async def both() -> float:
        rate, _ = await asyncio.gather(load.run(requests, clients), sample())
        return rate

    rate = asyncio.run(both())
    report(load)
    print(f"\n{requests:,} requests of {clients} clients, {rate:.0f} per second; MB of the server after …", flush=True)
    for part in range(1, 11):
        done = min(samples, key=lambda number: abs(number - part * requests / 10))
        print(f"{done:>8,} requests: {samples[done]:.0f}")
    server.end()


def inject_faults(checkpoint: str, posts, expected, requests: int, clients: int) -> None:
    server = Server(checkpoint)
    load = Load(server.url, posts, expected, invalid=5)
    asyncio.run(load.run(requests, clients))
    report(load)
    print(
        f"\n{requests:,} requests, every fifth invalid: all answers right, repeated {dict(load.repeated) or 'none'}",
        flush=True,
    )
    for number in (signal.SIGKILL, signal.SIGTERM):
        load = Load(server.url, posts, expected)
        restarts = []

        async def restart(load=load, number=number, restarts=restarts) -> None:
            nonlocal server
            while load.finished < requests // 3:
                await asyncio.sleep(0.01)
            status = await asyncio.to_thread(server.end, number)
            server = await asyncio.to_thread(lambda: Server(checkpoint, port=server.port))
            restarts.append((status, server.seconds_to_start))

        async def both(load=load, restart=restart) -> None:
            await asyncio.gather(load.run(requests, clients), restart())

        asyncio.run(both())
        report(load)
        ((status, seconds),) = restarts
        print(
            f"{signal.Signals(number).name}: exit status {status}, ready again after {seconds:.1f} s; all {requests:,} "
            f"answers right, repeated {dict(load.repeated)}"
        )
    server.end()


def main() -> None:
    arguments = parser.parse_args()
    posts = make_posts(arguments.images)
    expected = pipeline_answers(arguments.checkpoint, posts)
    with_image = sum("image" in post for post in posts)
    print(f"{len(posts)} posts, {with_image} with an image; {os.cpu_count()} cores\n")
    given = arguments.checkpoint, posts, expected
    if "speed" in arguments.parts:
        measure_speed(*given, arguments.requests, arguments.clients)
    if "memory" in arguments.parts:
        measure_memory(*given, arguments.memory, arguments.clients)
    if "faults" in arguments.parts:
        inject_faults(*given, arguments.requests, arguments.clients)


if __name__ == "__main__":
    main()

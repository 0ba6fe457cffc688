"""Measures the options of a model on one core: `--compile`, `attn_implementation`, `device_map`, `TorchAoConfig`, bf16.

    OMP_NUM_THREADS=1 python examples/benchmark_options.py path/to/text_encoder path/to/vision_encoder
    OMP_NUM_THREADS=1 python examples/benchmark_options.py \
        sentence-transformers/all-MiniLM-L6-v2 facebook/dinov2-small --parts compile --json options.json

Sixteen posts with an image of 224 × 224 pixels each, and texts of MNRE's lengths. Each part runs in a process of its
own, in which the option and the model as it is loaded by default run in turn; times are processor times of the step.
Memory is the peak of one more process that loads the model with the option only. Answers are compared over 64 posts.
`compile` also counts the seconds of compilation, with those of the C++ compiler, in an empty cache, and recompilations
over batches of other sizes. `torchao` requires `pip install torchao`.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from transformers import PreTrainedModel, TorchAoConfig, set_seed

from tgdi_hf import RELATIONS, TGDIForRelationExtraction, TGDIProcessor
from tgdi_hf.inference.compiled_model import compile_model

# Tokens of MNRE's training texts with markers and special tokens, one length per decile of the rows.
TEXT_LENGTHS = (21, 24, 26, 28, 30, 31, 33, 35, 37, 42)
CAPTION_LENGTH = 12
PARTS = ("compile", "eager_attention", "bf16", "disk_offload", "torchao")
BATCHES = 4

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("text_model")
parser.add_argument("vision_model")
parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
parser.add_argument("--batch-size", type=int, default=16)
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--json", type=Path, help="also write the numbers to this file")
parser.add_argument("--measure", nargs=2, metavar=("PART", "FOLDER"), help="measure this part only, and print JSON")
parser.add_argument("--memory", nargs=2, metavar=("PART", "FOLDER"), help="print the peak memory of this part only")


def load(folder: Path, part: str) -> PreTrainedModel:
    """The model with one option."""
    options: dict[str, Any] = {}
    if part == "eager_attention":
        options = {"attn_implementation": "eager"}
    elif part == "bf16":
        options = {"dtype": torch.bfloat16}
    elif part == "disk_offload":
        weights = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
        options = {"device_map": "auto", "max_memory": {"cpu": weights // 2}, "offload_folder": str(folder / "offload")}
    elif part == "torchao":
        from torchao.quantization import Int8WeightOnlyConfig

        options = {"quantization_config": TorchAoConfig(Int8WeightOnlyConfig()), "device_map": "cpu"}
    model = TGDIForRelationExtraction.from_pretrained(folder, **options).eval()
    return compile_model(model) if part == "compile" else model


def make_batch(config: Any, batch_size: int, seed: int = 0, longer: int = 0) -> dict[str, torch.Tensor]:
    """Random tokens and pixels; texts are `longer` by that many tokens."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.tensor([TEXT_LENGTHS[i % len(TEXT_LENGTHS)] + longer for i in range(batch_size)])
    inputs = {}
    for prefix, of in (("", lengths), ("enhanced_", lengths + CAPTION_LENGTH)):
        mask = (torch.arange(int(of.max())) < of[:, None]).long()
        inputs[f"{prefix}input_ids"] = torch.randint(1000, 30000, mask.shape, generator=generator) * mask
        inputs[f"{prefix}attention_mask"] = mask
        inputs[f"{prefix}token_type_ids"] = torch.zeros_like(mask)
    inputs["head_index"], inputs["tail_index"] = torch.full((batch_size,), 2), torch.full((batch_size,), 9)
    inputs["pixel_values"] = torch.randn(batch_size, 3, 224, 224, generator=generator)
    inputs["image_index"] = torch.arange(batch_size)[:, None]
    return inputs


def step(model: PreTrainedModel, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """The logits, as the pipeline computes them."""
    rest = {name: value for name, value in batch.items() if name != "pixel_values"}
    features = model.get_vision_features(batch["pixel_values"].to(model.dtype))
    return model(**rest, vision_features=features).logits.float()


def processor_seconds(function: Callable[[], object]) -> float:
    """Seconds of processor time of this process and of those that it has started and awaited, such as a compiler."""

    def now() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + children.ru_utime + children.ru_stime

    start = now()
    function()
    return now() - start


@torch.inference_mode()
def measure(part: str, folder: Path, args: argparse.Namespace) -> dict[str, float]:
    """Milliseconds per post with and without the option, and how far the answers differ."""
    plain, model = load(folder, "default"), load(folder, part)
    batches = [make_batch(plain.config, args.batch_size, seed) for seed in range(BATCHES)]
    found = {}
    if part == "compile":
        found["compile_seconds"] = processor_seconds(lambda: step(model, batches[0]))
    seconds: dict[str, list[float]] = {"default": [], "option": []}
    for turn in range(args.rounds + 1):
        for name, of in (("default", plain), ("option", model)):
            elapsed = processor_seconds(lambda of=of: step(of, batches[0]))
            if turn:
                seconds[name].append(elapsed)
    logits = [torch.cat([step(of, batch) for batch in batches]) for of in (plain, model)]
    for name, values in seconds.items():
        found[f"{name}_ms_per_post"] = 1000 * statistics.median(values) / args.batch_size
    found["times_as_fast"] = statistics.median(a / b for a, b in zip(seconds["default"], seconds["option"]))
    found["answers"] = len(logits[0])
    found["changed_answers"] = int((logits[0].argmax(-1) != logits[1].argmax(-1)).sum())
    found["largest_change_of_a_logit"] = (logits[0] - logits[1]).abs().max().item()
    found["largest_logit"] = logits[0].abs().max().item()
    if part == "compile":
        from torch._dynamo.utils import counters

        before = counters["stats"]["unique_graphs"]
        for longer in (3, 11, 20):
            step(model, make_batch(plain.config, max(1, args.batch_size - longer // 3), longer=longer))
        found["recompilations"] = counters["stats"]["unique_graphs"] - before
        saved = (found["default_ms_per_post"] - found["option_ms_per_post"]) / 1000
        found["break_even_posts"] = found["compile_seconds"] / saved if saved > 0 else float("inf")
    return found


@torch.inference_mode()
def peak_memory(part: str, folder: Path, args: argparse.Namespace) -> float:
    """GiB of a process that has loaded the model and run two batches."""
    model = load(folder, part)
    for _ in range(2):
        step(model, make_batch(model.config, args.batch_size))
    status = Path("/proc/self/status")
    if status.exists():  # `ru_maxrss` of a new process begins with that of the process that started it
        kilobytes = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return kilobytes / 2**20
    unit = 1 if sys.platform == "darwin" else 1024  # bytes per unit of `ru_maxrss`
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def in_new_process(option: str, part: str, folder: Path, args: argparse.Namespace) -> Any:
    command = [sys.executable, __file__, args.text_model, args.vision_model, option, part, str(folder)]
    command += [f"--batch-size={args.batch_size}", f"--rounds={args.rounds}"]
    # One compiler at a time, whose time is counted, and nothing kept from an earlier call of this script.
    environment = {"TORCHINDUCTOR_COMPILE_THREADS": "1", "TORCHINDUCTOR_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    args = parser.parse_args()
    for option, function in (("measure", measure), ("memory", peak_memory)):
        if given := getattr(args, option):
            print(json.dumps(function(given[0], Path(given[1]), args)))
            return
    set_seed(0)
    processor = TGDIProcessor.from_text_vision_pretrained(args.text_model, args.vision_model)
    model = TGDIForRelationExtraction.from_text_vision_pretrained(
        args.text_model, args.vision_model, tokenizer=processor.tokenizer, id2label=dict(enumerate(RELATIONS))
    )
    results: dict[str, Any] = {
        "machine": f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "batch_size": args.batch_size,
    }
    with TemporaryDirectory() as scratch:
        model.save_pretrained(scratch)
        results["default"] = {"peak_gib": in_new_process("--memory", "default", Path(scratch), args)}
        for part in args.parts:
            found = in_new_process("--measure", part, Path(scratch), args)
            found["peak_gib"] = in_new_process("--memory", part, Path(scratch), args)
            results[part] = found
    print(f"{results['machine']}, torch {results['torch']}, batch {args.batch_size}")
    print(f"default: peak {results['default']['peak_gib']:.2f} GiB")
    for part in args.parts:
        print(f"{part}:")
        for name, value in results[part].items():
            print(f"  {name:<28}{value:12.4g}")
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()

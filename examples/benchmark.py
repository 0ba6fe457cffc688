"""Measures speed and memory of TGDI at the paper's size, beside the bare encoders on the same inputs.

    python examples/benchmark.py                        # about four minutes on two cores
    python examples/benchmark.py --json benchmark.json

BERT-base and CLIP ViT-B/32 with random weights, 1 + 3 images of 224 × 224 pixels per post, token lengths of MNRE. The
compared steps run in turn, and medians over rounds are reported with their ratio, so that a machine whose speed drifts
affects all steps alike.
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

import torch

from tgdi_hf import TGDIConfig, TGDIForRelationExtraction

# Tokens of MNRE's training texts with markers and special tokens, one length per decile of the rows, and of a typical
# caption.
TEXT_LENGTHS = (21, 24, 26, 28, 30, 31, 33, 35, 37, 42)
CAPTION_LENGTH = 12

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--batch-size", type=int, default=16)
parser.add_argument("--objects", type=int, default=3)
parser.add_argument("--rounds", type=int, default=7)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--json", type=Path, help="also write the numbers to this file")
parser.add_argument(
    "--training", action="store_true", help="measure only the training step, whose peak memory is that of the process"
)


def build() -> TGDIForRelationExtraction:
    torch.manual_seed(0)
    return TGDIForRelationExtraction(TGDIConfig(num_labels=23)).eval()


def make_inputs(batch_size: int, objects: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    lengths = torch.tensor([TEXT_LENGTHS[i % len(TEXT_LENGTHS)] for i in range(batch_size)])
    inputs = {}
    for prefix, of in (("", lengths), ("enhanced_", lengths + CAPTION_LENGTH)):
        mask = (torch.arange(int(of.max())) < of[:, None]).long()
        inputs[f"{prefix}input_ids"] = torch.randint(1000, 30000, mask.shape, generator=generator) * mask
        inputs[f"{prefix}attention_mask"] = mask
        inputs[f"{prefix}token_type_ids"] = torch.zeros_like(mask)
    inputs["head_index"], inputs["tail_index"] = torch.full((batch_size,), 2), torch.full((batch_size,), 9)
    inputs["pixel_values"] = torch.randn(batch_size, 1 + objects, 3, 224, 224, generator=generator)
    inputs["image_mask"] = torch.ones(batch_size, 1 + objects, dtype=torch.long)
    return inputs


def in_turn(rounds: int, **steps: Callable[[], object]) -> dict[str, float]:
    """Median seconds per step; steps run in turn, after one warm-up round."""
    seconds = {name: [] for name in steps}
    for turn in range(rounds + 1):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def matrix_product(dtype: torch.dtype, size: int = 2048) -> float:
    """GFLOP/s of a square matrix product."""
    a, b = torch.randn(size, size, dtype=dtype), torch.randn(size, size, dtype=dtype)
    return 2 * size**3 / in_turn(7, product=lambda: a @ b)["product"] / 1e9


@torch.inference_mode()
def inference(rounds: int, batch_size: int, objects: int) -> dict[str, float]:
    """Seconds per step: TGDI, the bare encoders, TGDI in bf16, and TGDI from precomputed features."""
    model, inputs = build(), make_inputs(batch_size, objects)
    tgdi, half = model.tgdi, build().to(torch.bfloat16)
    bert, clip = tgdi.text_encoder, tgdi.vision_tower
    pixels = inputs["pixel_values"].flatten(0, 1)
    rest = {name: value for name, value in inputs.items() if name != "pixel_values"}
    features = model.get_vision_features(inputs["pixel_values"])
    text = (inputs["input_ids"], inputs["attention_mask"])
    enhanced = (inputs["enhanced_input_ids"], inputs["enhanced_attention_mask"])
    hidden = bert(*text).last_hidden_state
    visible = inputs["attention_mask"].bool()[:, None, None, :].expand(-1, 1, hidden.shape[1], -1)

    def layers():
        states = hidden
        for layer in bert.encoder.layer[-model.config.toi_num_layers :]:
            states = layer(states, visible)

    return in_turn(
        rounds,
        tgdi=lambda: model(**inputs),
        clip=lambda: clip(pixels),
        bert_text=lambda: bert(*text),
        bert_enhanced=lambda: bert(*enhanced),
        text_oriented_layers=layers,
        tgdi_bf16=lambda: half(**inputs),
        tgdi_from_features=lambda: model(**rest, vision_features=features),
    )


def training(rounds: int, batch_size: int, objects: int) -> dict[str, float]:
    """A training step with a frozen vision encoder: seconds, and peak memory of this process in GiB."""
    model, inputs = build().train(), make_inputs(batch_size, objects)
    model.freeze_vision_encoder()
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=1e-5, fused=True)
    labels = torch.arange(batch_size) % 23

    def step():
        model(**inputs, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    seconds = in_turn(rounds, step=step)["step"]
    unit = 1 if sys.platform == "darwin" else 1024  # bytes per unit of `ru_maxrss`
    return {"seconds": seconds, "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30}


def main() -> None:
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    size = (args.rounds, args.batch_size, args.objects)
    if args.training:
        print(json.dumps(training(*size)))
        return
    speed = {name: matrix_product(dtype) for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16))}
    steps = inference(*size)
    # In a separate process: the peak of this one is that of inference.
    command = [sys.executable, __file__, "--training", *(f"--{n}={getattr(args, n.replace('-', '_'))}"
               for n in ("batch-size", "objects", "rounds", "threads"))]  # fmt: skip
    trained = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    bare = steps["clip"] + steps["bert_text"] + steps["bert_enhanced"] + steps["text_oriented_layers"]
    results = {
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {args.threads} threads",
        "torch": torch.__version__,
        "matrix_product_gflops": speed,
        "seconds": steps,
        "tgdi_over_bare_encoders": steps["tgdi"] / bare,
        "fp32_over_bf16": steps["tgdi"] / steps["tgdi_bf16"],
        "pixels_over_features": steps["tgdi"] / steps["tgdi_from_features"],
        "training": {**trained, "samples_per_second": args.batch_size / trained["seconds"]},
    }
    print(f"{results['machine']}, torch {torch.__version__}")
    print(f"matrix product: fp32 {speed['fp32']:.0f}, bf16 {speed['bf16']:.0f} GFLOP/s")
    print(f"inference, batch {args.batch_size}, 1 + {args.objects} images:")
    for name, seconds in steps.items():
        print(f"  {name:<22}{seconds:7.3f} s  {args.batch_size / seconds:7.1f} samples/s")
    print(f"  TGDI over the sum of the bare encoders  {results['tgdi_over_bare_encoders']:.2f}")
    print(f"  fp32 over bf16                          {results['fp32_over_bf16']:.2f}")
    print(f"  from pixels over from features          {results['pixels_over_features']:.2f}")
    print(f"training, vision encoder frozen: {results['training']['samples_per_second']:.2f} samples/s, "
          f"peak {trained['peak_gib']:.2f} GiB")  # fmt: skip
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()

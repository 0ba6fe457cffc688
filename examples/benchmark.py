"""Measures speed and memory of TGDI at the paper's size, beside the bare encoders, its rivals and its exported graphs.

    OMP_NUM_THREADS=2 python examples/benchmark.py                       # about ten minutes on two cores
    OMP_NUM_THREADS=2 python examples/benchmark.py --export onnx --json benchmark.json

BERT-base and CLIP ViT-B/32 with random weights, 1 + 3 images of 224 × 224 pixels per post, token lengths of MNRE. The
rivals have the inputs of their releases: texts padded to 80 tokens; HVPNeT reads the same images with a ResNet-50;
MKGformer reads three objects of 128 × 128 and three of 64 × 64 pixels, which have as many patches as the four images of
128 × 128 that stand for them here. Each part runs in a process of its own, whose steps run in turn; medians over rounds
are reported with their ratios, so that a machine whose speed drifts affects all steps of a part alike.
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
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from transformers import CLIPVisionConfig, PreTrainedModel, ResNetConfig

sys.path.insert(0, str(Path(__file__).parents[1]))  # the baselines are not installed

from examples.research.baselines import BaselineConfig, HVPNeTForRelationExtraction, MKGformerForRelationExtraction
from tgdi_hf import TGDIConfig, TGDIForRelationExtraction, TGDIProcessor
from tgdi_hf.demo.tiny import tiny_image_processor, tiny_tokenizer

# Tokens of MNRE's training texts with markers and special tokens, one length per decile of the rows, and of a typical
# caption.
TEXT_LENGTHS = (21, 24, 26, 28, 30, 31, 33, 35, 37, 42)
CAPTION_LENGTH = 12
PEER_LENGTH = 80  # to which the releases of the rivals pad
TRAINED = ("crops", "regions", "hvpnet", "mkgformer")

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--batch-size", type=int, default=16)
parser.add_argument("--objects", type=int, default=3)
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--device", default="cpu")
parser.add_argument(
    "--export", nargs="*", choices=["onnx", "openvino"], default=[], help="also measure graphs in fp32 and int8"
)
parser.add_argument("--json", type=Path, help="also write the numbers to this file")
parser.add_argument("--part", help="measure this part only, and print JSON")

Inputs = dict[str, torch.Tensor]


def build(name: str, objects: int) -> PreTrainedModel:
    """A model with random weights: TGDI that reads `crops` or `regions`, or a rival."""
    torch.manual_seed(0)
    if name in ("crops", "regions"):
        return TGDIForRelationExtraction(TGDIConfig(num_labels=23, num_objects=objects, object_features=name)).eval()
    vision = ResNetConfig() if name == "hvpnet" else CLIPVisionConfig(patch_size=32, image_size=128)
    config = BaselineConfig(num_labels=23, num_objects=objects, vision_config=vision.to_dict())
    return (HVPNeTForRelationExtraction if name == "hvpnet" else MKGformerForRelationExtraction)(config).eval()


def make_inputs(name: str, args: argparse.Namespace) -> Inputs:
    batch_size, objects = args.batch_size, args.objects
    generator = torch.Generator().manual_seed(0)
    lengths = torch.tensor([TEXT_LENGTHS[i % len(TEXT_LENGTHS)] for i in range(batch_size)])
    of_tgdi = name in ("crops", "regions")
    inputs = {}
    for prefix, of in (("", lengths), ("enhanced_", lengths + CAPTION_LENGTH))[: 2 if of_tgdi else 1]:
        mask = (torch.arange(int(of.max()) if of_tgdi else PEER_LENGTH) < of[:, None]).long()
        inputs[f"{prefix}input_ids"] = torch.randint(1000, 30000, mask.shape, generator=generator) * mask
        inputs[f"{prefix}attention_mask"] = mask
        inputs[f"{prefix}token_type_ids"] = torch.zeros_like(mask)
    inputs["head_index"], inputs["tail_index"] = torch.full((batch_size,), 2), torch.full((batch_size,), 9)
    size, images = 128 if name == "mkgformer" else 224, 1 if name == "regions" else 1 + objects
    inputs["pixel_values"] = torch.randn(batch_size, images, 3, size, size, generator=generator)
    inputs["image_mask"] = torch.ones(batch_size, 1 + objects, dtype=torch.long)
    if name == "regions" and objects:
        corners = torch.rand(batch_size, objects, 2, 2, generator=generator).sort(dim=2).values
        inputs["object_boxes"] = corners.flatten(2).clamp(0, 0.9) + torch.tensor([0, 0, 0.1, 0.1])
    return {name: value.to(args.device) for name, value in inputs.items()}


def in_turn(args: argparse.Namespace, **steps: Callable[[], object]) -> dict[str, float]:
    """Median seconds per step; steps run in turn, after one warm-up round."""
    seconds = {name: [] for name in steps}
    for turn in range(args.rounds + 1):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if args.device != "cpu":
                torch.accelerator.synchronize()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def matrix_product(dtype: torch.dtype, args: argparse.Namespace, size: int = 2048) -> float:
    """GFLOP/s of a square matrix product."""
    a, b = (torch.randn(size, size, dtype=dtype, device=args.device) for _ in range(2))
    return 2 * size**3 / in_turn(args, product=lambda: a @ b)["product"] / 1e9


def from_features(model: PreTrainedModel, inputs: Inputs) -> Inputs:
    """The same inputs with vision features in place of pixels."""
    rest = {name: value for name, value in inputs.items() if name != "pixel_values"}
    return {**rest, "vision_features": model.get_vision_features(inputs["pixel_values"])}


def exported(model: PreTrainedModel, folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """The graphs of a model, in fp32 and int8."""
    from tgdi_hf.export.exported_model import ExportedTGDI
    from tgdi_hf.export.exporting import export_model

    processor = TGDIProcessor(tiny_image_processor(224), tiny_tokenizer(["a b"]), num_objects=model.config.num_objects)
    found = {}
    for format in args.export:
        for kind in ("fp32", "int8"):
            target = folder / f"{format}_{kind}_{model.config.object_features}"
            export_model(model, processor, target, format, int8=kind == "int8", force=True)
            found[f"{format}_{kind}"] = ExportedTGDI(target)
    return found


@torch.inference_mode()
def bare_encoders(args: argparse.Namespace) -> dict[str, float]:
    """Seconds per step of TGDI with crops, and of the encoder passes that it consists of."""
    model, inputs = build("crops", args.objects).to(args.device), make_inputs("crops", args)
    bert, clip = model.tgdi.text_encoder, model.tgdi.vision_tower
    pixels = inputs["pixel_values"].flatten(0, 1)
    text = (inputs["input_ids"], inputs["attention_mask"])
    enhanced = (inputs["enhanced_input_ids"], inputs["enhanced_attention_mask"])
    hidden = bert(*text).last_hidden_state
    visible = inputs["attention_mask"].bool()[:, None, None, :].expand(-1, 1, hidden.shape[1], -1)

    def layers():
        states = hidden
        for layer in bert.encoder.layer[-model.config.toi_num_layers :]:
            states = layer(states, visible)

    return in_turn(
        args,
        crops=lambda: model(**inputs),
        clip=lambda: clip(pixels),
        bert_text=lambda: bert(*text),
        bert_enhanced=lambda: bert(*enhanced),
        text_oriented_layers=layers,
    )


@torch.inference_mode()
def images(args: argparse.Namespace) -> dict[str, float]:
    """Seconds per step with crops, regions, stored features, and bf16."""
    models = {name: build(name, args.objects).to(args.device) for name in ("crops", "regions")}
    inputs = {name: make_inputs(name, args) for name in models}
    kept = {name: from_features(models[name], inputs[name]) for name in models}
    half = build("crops", args.objects).to(args.device, torch.bfloat16)
    return in_turn(
        args,
        crops=lambda: models["crops"](**inputs["crops"]),
        crops_bf16=lambda: half(**inputs["crops"]),
        regions=lambda: models["regions"](**inputs["regions"]),
        crops_from_features=lambda: models["crops"](**kept["crops"]),
        regions_from_features=lambda: models["regions"](**kept["regions"]),
    )


@torch.inference_mode()
def rivals(args: argparse.Namespace) -> dict[str, float]:
    """Seconds per step of TGDI and its rivals."""
    models = {name: build(name, args.objects).to(args.device) for name in TRAINED}
    inputs = {name: make_inputs(name, args) for name in TRAINED}
    kept = from_features(models["crops"], inputs["crops"])
    steps: dict[str, Callable[[], object]] = {
        name: lambda model=models[name], given=inputs[name]: model(**given) for name in TRAINED
    }
    return in_turn(args, **steps, crops_from_features=lambda: models["crops"](**kept))


@torch.inference_mode()
def graphs(args: argparse.Namespace) -> dict[str, float]:
    """Seconds per step of exported graphs."""
    steps: dict[str, Callable[[], object]] = {}
    with TemporaryDirectory() as folder:
        for name in ("crops", "regions"):
            model, inputs = build(name, args.objects), make_inputs(name, args)
            kept = from_features(model, inputs)
            runs = {
                name: model,
                **{f"{name}_{graph}": run for graph, run in exported(model, Path(folder), args).items()},
            }
            for title, run in runs.items():
                steps[title] = lambda run=run, given=inputs: run(**given)
                steps[f"{title}_from_features"] = lambda run=run, given=kept: run(**given)
        return in_turn(args, **steps)


def training(args: argparse.Namespace, name: str) -> dict[str, float]:
    """
    A training step: seconds, and peak memory of this process in GiB. The vision encoder is frozen, but MKGformer's,
    which runs jointly with the text encoder.
    """
    model = build(name, args.objects).train().to(args.device)
    inputs = make_inputs(name, args)
    if name != "mkgformer":
        model.freeze_vision_encoder()
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=1e-5, fused=True)
    labels = torch.arange(args.batch_size, device=args.device) % 23

    def step():
        model(**inputs, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    seconds = in_turn(args, step=step)["step"]
    if args.device != "cpu":
        return {"seconds": seconds, "peak_gib": torch.accelerator.max_memory_allocated() / 2**30}
    status = Path("/proc/self/status")
    if status.exists():  # `ru_maxrss` of a new process begins with that of the process that started it
        kilobytes = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return {"seconds": seconds, "peak_gib": kilobytes / 2**20}
    unit = 1 if sys.platform == "darwin" else 1024  # bytes per unit of `ru_maxrss`
    return {"seconds": seconds, "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30}


PARTS: dict[str, Callable[[argparse.Namespace], dict[str, float]]] = {
    "bare_encoders": bare_encoders,
    "images": images,
    "rivals": rivals,
    "graphs": graphs,
    **{f"training_{name}": partial(training, name=name) for name in TRAINED},
}


def in_new_process(part: str, args: argparse.Namespace) -> dict[str, float]:
    """One of `PARTS` in a process of its own."""
    options = ("batch-size", "objects", "rounds", "threads", "device")
    command = [sys.executable, __file__, "--part", part]
    command += [f"--{option}={getattr(args, option.replace('-', '_'))}" for option in options]
    command += ["--export", *args.export] if args.export else []
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def ratios(found: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """How many times as fast: the first is over the second, both of one part."""
    bare, shown, peers = (found[part] for part in ("bare_encoders", "images", "rivals"))
    passes = sum(bare[name] for name in ("clip", "bert_text", "bert_enhanced", "text_oriented_layers"))
    ratio = {
        "time of TGDI with crops over its encoder passes": bare["crops"] / passes,
        "crops, bf16 over fp32": shown["crops"] / shown["crops_bf16"],
        "regions over crops": shown["crops"] / shown["regions"],
    }
    for peer in ("hvpnet", "mkgformer"):
        for name in ("crops", "regions", "crops_from_features"):
            ratio[f"{name} over {peer}"] = peers[peer] / peers[name]
        for name in ("crops", "regions"):
            seconds = [found[f"training_{of}"]["seconds"] for of in (peer, name)]
            ratio[f"training {name} over {peer}"] = seconds[0] / seconds[1]
    for name, seconds in found.get("graphs", {}).items():
        if "fp32" in name or "int8" in name:
            eager = name.partition("_")[0] + ("_from_features" if name.endswith("from_features") else "")
            ratio[f"{name} over {eager}"] = found["graphs"][eager] / seconds
    return ratio


def main() -> None:
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.part:
        print(json.dumps(PARTS[args.part](args)))
        return
    dtypes = (("fp32", torch.float32), ("bf16", torch.bfloat16))
    speed = {name: matrix_product(dtype, args) for name, dtype in dtypes}
    found = {part: in_new_process(part, args) for part in PARTS if part != "graphs" or args.export}
    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {args.threads} threads"
    results = {
        "machine": f"{machine}, device {args.device}",
        "torch": torch.__version__,
        "matrix_product_gflops": speed,
        "seconds": found,
        "ratios": ratios(found),
    }
    print(f"{results['machine']}, torch {torch.__version__}")
    print(f"matrix product: fp32 {speed['fp32']:.0f}, bf16 {speed['bf16']:.0f} GFLOP/s")
    print(f"batch {args.batch_size}, 1 + {args.objects} images:")
    for part, steps in found.items():
        if part.startswith("training"):
            steps = {f"step, peak {steps['peak_gib']:.2f} GiB": steps["seconds"]}
        print(part)
        for name, seconds in steps.items():
            print(f"  {name:<36}{seconds:8.3f} s  {args.batch_size / seconds:7.2f} samples/s")
    print("times as fast:")
    for name, ratio in results["ratios"].items():
        print(f"  {name:<60}{ratio:6.2f}")
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()

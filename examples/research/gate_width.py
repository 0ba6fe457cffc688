"""
The scores of Eq. 8 at the width of real encoders: how flat the rows of A are, before and after training, and what F1
follows.

    python -m examples.research.gate_width run --sizes tiny wide
    python -m examples.research.gate_width run --sizes pretrained --text-model TEXT --vision-model VISION
    python -m examples.research.gate_width run --sizes base
    python -m examples.research.gate_width collect

A run that was done is skipped, and several processes can share the work. `base` is measured before training only.
"""

import argparse
import itertools
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any, NamedTuple

import torch
from datasets import DatasetDict
from filelock import FileLock, Timeout
from torch.utils.data import DataLoader
from transformers import CLIPVisionConfig, PreTrainedModel, set_seed

from examples.research.irrelevant_images.runs import answers_of, f1_by_need
from examples.research.reproduce.collect import refuse_unlike
from examples.research.reproduce.train import commit, versions, write
from tgdi_hf import TGDICollator, TGDIConfig, TGDIForRelationExtraction, TGDIProcessor, make_corpus
from tgdi_hf.data.dataset_columns import undecoded
from tgdi_hf.data.image_identity import digest_of
from tgdi_hf.demo.tiny import tiny_image_processor, tiny_text_config, tiny_vision_config
from tgdi_hf.demo.tiny_model import tiny_tgdi
from tgdi_hf.evaluation.markdown import table
from tgdi_hf.evaluation.spread import mean_and_deviation
from tgdi_hf.preparation.vision_features import compute_model_features
from tgdi_hf.training.build import build_model
from tgdi_hf.training.recipe import training_arguments
from tgdi_hf.training.trainer import make_trainer

# Eq. 7 and Eq. 8 as the paper writes them; with the residual connection and the normalisation that the package adds to
# Eq. 7; and with the two other scores.
SCORES: dict[str, dict[str, Any]] = {
    "to the letter": {"self_attention_residual": False, "similarity_function": "dot"},
    "residual and norm": {"self_attention_residual": True, "similarity_function": "dot"},
    "scaled": {"self_attention_residual": True, "similarity_function": "scaled_dot"},
    "cosine": {"self_attention_residual": True, "similarity_function": "cosine"},
}
RESULTS = Path(__file__).parent / "results" / "gate_width"
MEASURED_POSTS = 64


class Size(NamedTuple):
    r"""
    Args:
        title: Name in the tables.
        learning_rate, epochs, train_rows: Of training on the embedded corpus; no epochs: measured untrained only.
    """

    title: str
    learning_rate: float = 0.0
    epochs: int = 0
    train_rows: int = 2000


SIZES = {
    "tiny": Size("64, two random layers", 2e-3, 5, 4500),
    "pretrained": Size("384, MiniLM and DINOv2", 1e-4, 3),
    "wide": Size("768, two random layers", 2e-4, 5),
    "base": Size("768, random BERT-base and CLIP ViT-B/32"),
}


def build(
    size: str, corpus: DatasetDict, encoders: tuple[str, str], options: dict[str, Any]
) -> tuple[TGDIForRelationExtraction, TGDIProcessor]:
    """An untrained model and its processor; objects are left out, as in the demo."""
    if size == "pretrained":
        names = corpus["train"].features["label"].names
        return build_model(names, *encoders, num_objects=0, **options)
    tiny, processor = tiny_tgdi(corpus, **options)
    if size == "tiny":
        return tiny, processor
    text, vision = tiny_text_config(processor.tokenizer), tiny_vision_config()
    wide = {"hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 1536}
    if size == "base":
        wide |= {"num_hidden_layers": 12, "intermediate_size": 3072}
        vision, processor.image_processor = CLIPVisionConfig(patch_size=32), tiny_image_processor(224)
    for config in (text, vision):
        config.update(wide)
    fields = {"id2label": tiny.config.id2label, "num_objects": 0, **options}
    config = TGDIConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), **fields)
    return TGDIForRelationExtraction(config), processor


def entropies(similarity: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    r"""
    The entropy of each row of A over its maximum, the logarithm of the number of tokens: 1 for a row that is flat, 0
    for a row with a single token.

    Args:
        similarity: A, `(B, N, L)`.
        mask: `(B, L)`, nonzero at tokens.

    Returns:
        `(rows,)`, without the rows of empty image slots.
    """
    entropy = -torch.special.xlogy(similarity, similarity).sum(dim=-1) / mask.sum(dim=1, keepdim=True).log()  # (B, N)
    return entropy[similarity.sum(dim=-1) > 0]


@torch.inference_mode()
def gate_statistics(model: PreTrainedModel, processor: TGDIProcessor, rows: Any) -> dict[str, float]:
    """Mean entropy of the rows of A, and mean and standard deviation over posts of the gate, for posts with image."""
    model.eval()
    found, gates = [], []
    with_image = [place for place, missing in enumerate(rows["relevance"][:]) if missing is not None][:MEASURED_POSTS]
    for batch in DataLoader(undecoded(rows.select(with_image)), batch_size=16, collate_fn=TGDICollator(processor)):
        outputs = model(**batch)
        found.append(entropies(outputs.similarity.double(), batch["attention_mask"]))
        gates.append(outputs.matching_gate.double())
    gate = torch.cat(gates)  # (posts, d)
    return {
        "entropy": torch.cat(found).mean().item(),
        "gate": gate.mean().item(),
        "gate_deviation": gate.std(dim=0).mean().item(),
    }


def run(
    size: str, name: str, initial_gate: float, seed: int, encoders: tuple[str, str], features: Path,
    rows: dict[str, int] | None = None,
) -> dict[str, Any]:  # fmt: skip
    r"""
    Measures one model before training and after training on the embedded corpus.

    Args:
        size, name: One of `SIZES` and of `SCORES`.
        initial_gate, seed: Of the model and its training.
        encoders: The pretrained text and vision encoder of the size `pretrained`.
        features: Folder for the features of that vision encoder.
        rows: Number of rows per split; by default those of the size.
    """
    epochs, rows = SIZES[size].epochs, rows or {"train": SIZES[size].train_rows, "validation": 300, "test": 600}
    code = commit()  # before training, since files may change meanwhile
    options = {**SCORES[name], "initial_gate": initial_gate}
    corpus = make_corpus(rows, seed=seed)
    set_seed(seed)
    model, processor = build(size, corpus, encoders, options)
    result = {
        "size": size, "scores": name, "options": options, "seed": seed, "epochs": epochs, "rows": rows,
        "before": gate_statistics(model, processor, corpus["test"]),
    }  # fmt: skip
    if epochs:
        with TemporaryDirectory() as scratch:
            arguments = training_arguments(
                scratch, seed=seed, num_train_epochs=epochs, learning_rate=SIZES[size].learning_rate,
                per_device_train_batch_size=32, dataloader_num_workers=0, report_to="none", disable_tqdm=True,
            )  # fmt: skip
            kept = compute_model_features(model, processor, corpus, features) if size == "pretrained" else None
            trainer = make_trainer(model, processor, corpus, arguments, vision_features=kept)
            seconds = trainer.train().metrics["train_runtime"]
        result["after"] = gate_statistics(model, processor, corpus["test"])
        result["test"] = f1_by_need(answers_of(model, processor, corpus["test"])[0], corpus["test"])
        result["seconds"] = round(seconds)
    command = " ".join(["python -m examples.research.gate_width", *sys.argv[1:]])
    return {**result, "command": command, "commit": code, "versions": versions()}


def collect(folder: Path) -> str:
    r"""
    Writes `tables.md`: one row per size, scores and initial gate.

    Raises:
        ValueError: Runs of one row differ in more than their seed.
    """
    results = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))]
    lines = []
    for size, name in itertools.product(SIZES, SCORES):
        of_scores = [result for result in results if (result["size"], result["scores"]) == (size, name)]
        for gate in sorted({result["options"]["initial_gate"] for result in of_scores}):
            runs = [result for result in of_scores if result["options"]["initial_gate"] == gate]
            for what in ("options", "epochs", "rows"):
                refuse_unlike(f"{size}, {name}", what, [result[what] for result in runs])
            cells = [mean_and_deviation([result["before"]["entropy"] for result in runs])]
            for part, value in [("after", "entropy"), ("after", "gate"), ("after", "gate_deviation")]:
                cells.append(mean_and_deviation([result[part][value] for result in runs if part in result]))
            for score in ("f1", "f1_needs", "f1_needs_not"):
                cells.append(mean_and_deviation([result["test"][score] for result in runs if "test" in result]))
            lines.append([SIZES[size].title, name, f"{gate:g}", str(len(runs)), *cells])
    header = ["width", "Eq. 7 and 8", "initial gate", "seeds", "entropy of A, fresh", "trained", "gate, trained",
              "its deviation over posts", "F1", "F1, image needed", "F1, image not needed"]  # fmt: skip
    text = "In percent, mean ± standard deviation over seeds; entropy relative to its maximum.\n\n"
    text += "\n".join(table(header, lines)) + "\n"
    (folder / "tables.md").write_text(text, encoding="utf-8")
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["run", "collect"])
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["tiny", "wide"])
    parser.add_argument("--scores", nargs="+", choices=SCORES, default=list(SCORES))
    parser.add_argument("--initial-gates", type=float, nargs="+", default=[0.5])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--text-model", default="bert-base-uncased")
    parser.add_argument("--vision-model", default="openai/clip-vit-base-patch32")
    parser.add_argument("--features", type=Path, default=Path(gettempdir(), "gate_width_features"))
    args = parser.parse_args()
    args.results.mkdir(parents=True, exist_ok=True)
    if args.command == "collect":
        print(collect(args.results))
        return
    for seed, size, gate, name in itertools.product(args.seeds, args.sizes, args.initial_gates, args.scores):
        file = args.results / f"{size}-{name.replace(' ', '-')}-{100 * gate:g}-{seed}.json"
        try:
            # The lock ends with the process, so a killed run leaves nothing to clean up.
            with FileLock(Path(gettempdir(), f"{digest_of(str(file.resolve()).encode())}.lock"), timeout=0):
                if file.exists():
                    continue
                features = args.features / f"seed-{seed}"
                result = run(size, name, gate, seed, (args.text_model, args.vision_model), features)
                write(result, file)
                print(file.stem, result["before"], result.get("after"), result.get("test"), flush=True)
        except Timeout:
            continue


if __name__ == "__main__":
    main()

"""The demo: trains a tiny TGDI and a text-only control from scratch on the embedded corpus."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from datasets import DatasetDict
from transformers import PreTrainedModel, ProgressCallback, Trainer, set_seed

from ..data.dataset_columns import undecoded
from ..inference.prediction import predict
from ..processing.processing_tgdi import TGDIProcessor
from ..training.recipe import training_arguments
from ..training.trainer import make_trainer
from .corpus import make_corpus
from .corpus_ceiling import text_only_ceiling
from .tiny_model import tiny_tgdi

# The paper's ablations combined: a text classifier over the entity markers, without captions.
TEXT_ONLY = {
    "use_caption": False,
    "use_visual_prompts": False,
    "use_matching_gate": False,
    "use_text_oriented_interaction": False,
}
EXPERIMENTS: dict[str, dict[str, Any]] = {"text only": TEXT_ONLY, "TGDI": {}}


class QuietProgressBar(ProgressCallback):
    """A progress bar that prints no log lines."""

    def on_log(self, *args: Any, **kwargs: Any) -> None:
        pass


def fit(
    corpus: DatasetDict,
    output_dir: str | Path,
    seed: int,
    epochs: float,
    build: Callable[..., tuple[PreTrainedModel, TGDIProcessor]] = tiny_tgdi,
    swap_images: float = 0.0,
    **options: Any,
) -> tuple[Trainer, float]:
    r"""
    Trains a tiny model.

    Args:
        corpus: A corpus with the splits `train` and `validation`.
        output_dir: Folder for checkpoints.
        seed: Random seed of weights and batches.
        epochs: Number of epochs.
        build: Builds the model and its processor from the corpus and `options`.
        swap_images: See `make_trainer`.
        options: Arguments of `build`.

    Returns:
        The trainer with the best model, and the training time in seconds.
    """
    set_seed(seed)
    model, processor = build(corpus, **options)
    arguments = training_arguments(
        output_dir,
        num_train_epochs=epochs,
        learning_rate=2e-3,
        per_device_train_batch_size=32,
        dataloader_num_workers=0,
        seed=seed,
        logging_strategy="no",
    )
    trainer = make_trainer(model, processor, corpus, arguments, swap_images=swap_images)
    trainer.remove_callback(ProgressCallback)
    trainer.add_callback(QuietProgressBar)
    started = time.perf_counter()
    trainer.train()
    return trainer, time.perf_counter() - started


def run_demo(
    seed: int = 0,
    output_dir: str | Path | None = None,
    epochs: float = 5,
    rows: Mapping[str, int] | None = None,
) -> dict[str, dict[str, float]]:
    r"""
    Trains both models, scores them on the test split, predicts one post, and prints the results.

    Args:
        seed: Random seed of the corpus, the weights and the batches.
        output_dir: Folder for the trained model; by default it is not saved.
        epochs: Number of epochs.
        rows: Number of rows per split; by default as in `make_corpus`.

    Returns:
        Test scores and training time of `"TGDI"` and of the `"text only"` control.
    """
    corpus = make_corpus(rows, seed=seed)
    print(f"Embedded corpus: {', '.join(f'{len(posts)} {split}' for split, posts in corpus.items())} posts.")
    scores = {}
    with TemporaryDirectory() as scratch:
        for name, options in EXPERIMENTS.items():
            print(f"\nTraining {name} from scratch ...")
            trainer, seconds = fit(corpus, Path(scratch, name), seed, epochs, **options)
            metrics = trainer.evaluate(undecoded(corpus["test"]), metric_key_prefix="test")
            scores[name] = {key: metrics[f"test_{key}"] for key in ("precision", "recall", "f1")} | {"seconds": seconds}
        if output_dir is not None:
            trainer.save_model(str(output_dir))
    print(f"\nTest split        precision  recall    F1   (upper bound of text-only models: F1 about "
          f"{text_only_ceiling(corpus['test']):.3f})")  # fmt: skip
    for name, row in scores.items():
        figures = f"{name:<17} {row['precision']:>9.3f} {row['recall']:>7.3f} {row['f1']:>5.3f}"
        print(f"{figures}   trained in {row['seconds']:.0f} s")
    post = next(row for row in corpus["test"] if row["needs_image"] and row["label"])
    head, tail = (post["text"][slice(*post[entity])] for entity in ("head", "tail"))
    assert isinstance(trainer.model, PreTrainedModel) and isinstance(trainer.processing_class, TGDIProcessor)
    (prediction,) = predict(trainer.model, trainer.processing_class, [post])
    print(f"\n{post['text']}\n{head!r} and {tail!r}, with an image of a {post['scene']}:")
    print(f"{prediction['relation']}  score {prediction['score']:.3f}  matching gate {prediction['gate']:.3f}")
    return scores

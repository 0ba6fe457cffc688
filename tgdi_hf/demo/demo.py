"""The demo: a tiny TGDI trained from scratch on the embedded corpus, beside the same model without images."""

import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from datasets import DatasetDict
from transformers import ProgressCallback, set_seed

from ..data.dataset_columns import undecoded
from ..inference.prediction import predict
from ..training.recipe import training_arguments
from ..training.trainer import make_trainer
from .corpus import make_corpus
from .corpus_ceiling import text_only_ceiling
from .tiny_model import tiny_tgdi

# The paper's "w/o" switches that together leave a plain text classifier over the entity markers and no caption.
TEXT_ONLY = {
    "use_caption": False,
    "use_cross_modal_interaction": False,
    "use_matching_gate": False,
    "use_text_oriented_interaction": False,
}


class Bar(ProgressCallback):
    """The progress bar without the lines that it prints in between."""

    def on_log(self, *args, **kwargs):
        pass


def fit(corpus: DatasetDict, output_dir: str | Path, seed: int, epochs: float, build=tiny_tgdi, **options):
    """Trains what `build` makes, a tiny TGDI; returns the trainer with the best model, and the seconds it took."""
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
    trainer = make_trainer(model, processor, corpus, arguments)
    trainer.remove_callback(ProgressCallback)
    trainer.add_callback(Bar)
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
    Trains, scores on the test split, and predicts one post; prints what it does.

    Args:
        seed: Of the corpus, the weights and the order of the rows.
        output_dir: Where to leave the model; nowhere by default.
        epochs: Passes over the training rows.
        rows: Size of each split; those of `make_corpus` by default.

    Returns:
        Test scores of `"TGDI"` and of the `"text only"` control.
    """
    corpus = make_corpus(rows, seed=seed)
    print(f"Embedded corpus: {', '.join(f'{len(rows)} {split}' for split, rows in corpus.items())} posts.")
    scores = {}
    with TemporaryDirectory() as scratch:
        for name, options in (("text only", TEXT_ONLY), ("TGDI", {})):
            print(f"\nTraining {name} from scratch ...")
            trainer, seconds = fit(corpus, Path(scratch, name), seed, epochs, **options)
            metrics = trainer.evaluate(undecoded(corpus["test"]), metric_key_prefix="test")
            scores[name] = {key: metrics[f"test_{key}"] for key in ("precision", "recall", "f1")} | {"seconds": seconds}
        if output_dir is not None:
            trainer.save_model(str(output_dir))
    print(f"\nTest split        precision  recall    F1   (texts alone can give about F1 "
          f"{text_only_ceiling(corpus['test']):.3f})")  # fmt: skip
    for name, of in scores.items():
        row = f"{name:<17} {of['precision']:>9.3f} {of['recall']:>7.3f} {of['f1']:>5.3f}"
        print(f"{row}   trained in {of['seconds']:.0f} s")
    post = next(row for row in corpus["test"] if row["needs_image"] and row["label"])
    head, tail = (post["text"][slice(*post[entity])] for entity in ("head", "tail"))
    (prediction,) = predict(trainer.model, trainer.processing_class, [post])
    print(f"\n{post['text']}\n{head!r} and {tail!r}, with an image of a {post['scene']}:")
    print(f"{prediction['relation']}  score {prediction['score']:.3f}  matching gate {prediction['gate']:.3f}")
    return scores

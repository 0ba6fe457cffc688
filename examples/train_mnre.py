"""Fine-tune TGDI on MNRE with `transformers.Trainer`, step by step.

    python examples/train_mnre.py path/to/mnre runs/mnre
    accelerate launch examples/train_mnre.py path/to/mnre runs/mnre          # several GPUs or processes

`path/to/mnre` is a folder with txt/, img_org/ and, optionally, caption/ and relevance/. Prints the validation scores of
the best epoch. `examples/research/results/mnre_minilm.md` lists the scores and times of past runs with their commands.
"""

import argparse
import json
from pathlib import Path

from transformers import Trainer, set_seed

from tgdi_hf import (
    TGDICollator,
    TGDIForRelationExtraction,
    TGDIProcessor,
    load_mnre,
    make_compute_metrics,
    undecoded,
)
from tgdi_hf.data.entity_order import with_both_orders
from tgdi_hf.preparation.vision_features import compute_model_features
from tgdi_hf.training.build import with_label_fields
from tgdi_hf.training.optimizer import optimizer_for
from tgdi_hf.training.recipe import training_arguments
from tgdi_hf.training.run_record import last_checkpoint

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("data", type=Path)
parser.add_argument("output", type=Path)
parser.add_argument("--text-model", default="bert-base-uncased")
parser.add_argument("--vision-model", default="openai/clip-vit-base-patch32")
parser.add_argument("--epochs", type=float, default=6)
parser.add_argument("--learning-rate", type=float, default=3e-5)
parser.add_argument("--fusion-learning-rate", type=float, help="learning rate of randomly initialised modules")
parser.add_argument("--batch-size", type=int, default=16)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--bf16", action="store_true")
parser.add_argument("--no-caption", action="store_true", help="do not append captions (the paper's ablation)")
parser.add_argument(
    "--both-orders", action="store_true", help="train on both orders of each pair, to score all pairs of a post"
)
parser.add_argument("--vision-features", type=Path, help="folder for the frozen encoder's features, computed once")
parser.add_argument("--features-dtype", default="float16")
parser.add_argument("--config", type=json.loads, default={}, help="fields of TGDIConfig, as JSON")
parser.add_argument("--resume", action="store_true", help="resume from the last checkpoint in the output folder")


def main() -> None:
    args = parser.parse_args()
    set_seed(args.seed)

    # 1. The corpus. Rows whose image file is missing have no image; captions are read if the folder has them.
    dataset = load_mnre(args.data)
    names = dataset["train"].features["label"].names

    # 2. The processor: the tokenizer and image processor of the two encoders, and four entity markers.
    processor = TGDIProcessor.from_text_vision_pretrained(
        args.text_model, args.vision_model, use_caption=not args.no_caption
    )

    # 3. With both orders of each pair, the model distinguishes the inverse of a relation from no relation.
    options = with_label_fields(names, {"direction_balanced": args.both_orders, **args.config})

    # 4. The model, from the two pretrained encoders. The vision encoder is frozen.
    model = TGDIForRelationExtraction.from_text_vision_pretrained(
        args.text_model,
        args.vision_model,
        tokenizer=processor.tokenizer,
        id2label=dict(enumerate(names)),
        label2id={name: i for i, name in enumerate(names)},
        **options,
    )

    # 5. The recipe: evaluation after every epoch; the best model is selected by validation micro-F1 without `None`.
    arguments = training_arguments(
        args.output,
        num_train_epochs=args.epochs,
        learning_rate=args.learning_rate,
        per_device_train_batch_size=args.batch_size,
        seed=args.seed,
        bf16=args.bf16,
    )

    # 6. The features of a frozen vision encoder can be computed once and stored.
    features = None
    if args.vision_features is not None:
        features = compute_model_features(
            model, processor, dataset, args.vision_features, args.features_dtype, arguments.device
        )

    # 7. Training. The workers of the dataloader decode each distinct image of a batch once.
    rate = args.fusion_learning_rate
    optimizer = None if rate is None else optimizer_for(model, arguments, rate)  # `None`: Trainer creates one
    train = dataset["train"]
    if args.both_orders:
        train = with_both_orders(train, model.config.symmetric_relations, inverses=model.config.inverse_labels > 0)
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=undecoded(train),
        eval_dataset=undecoded(dataset["validation"]),
        data_collator=TGDICollator(processor, arguments.n_gpu <= 1, features),  # n_gpu > 1: DataParallel splits batches
        processing_class=processor,
        compute_metrics=make_compute_metrics(names),
        optimizers=(optimizer, None),
    )
    trainer.train(resume_from_checkpoint=last_checkpoint(args.output) if args.resume else None)

    # 8. The best model, its processor and its scores.
    metrics = trainer.evaluate()
    trainer.save_model()
    trainer.save_metrics("eval", metrics)
    if trainer.is_world_process_zero():
        print({name: round(100 * metrics[f"eval_{name}"], 2) for name in ("accuracy", "precision", "recall", "f1")})


if __name__ == "__main__":
    main()

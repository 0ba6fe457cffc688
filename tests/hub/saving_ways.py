"""
Every way to save a model, and every way to load what was saved, as a program: `python saving_ways.py JOB.json`.

Where huggingface_hub looks for the Hub, and whether `tgdi_hf` is installed, is settled when Python starts.
"""

import json
import sys
from pathlib import Path

JOB = json.loads(Path(sys.argv[1]).read_text()) if __name__ == "__main__" else {}
if not JOB.get("package"):
    sys.modules["tgdi_hf"] = None  # a machine without the package
else:
    import tgdi_hf

from transformers import (  # noqa: E402
    AutoModel,
    AutoModelForSequenceClassification,
    AutoProcessor,
    Trainer,
    TrainingArguments,
    pipeline,
)

TASK = "multimodal-relation-extraction"
TRUST = {} if JOB.get("package") else {"trust_remote_code": True}
POST = {"text": "Ann meets Bob", "head": "Ann", "tail": "Bob"}
ROW = {"text": "Ann meets Bob", "head": (0, 3), "tail": (10, 13)}
BAD = {**POST, "image": "no such file.jpg"}


def load(place):
    model = AutoModelForSequenceClassification.from_pretrained(place, **TRUST)
    return model, AutoProcessor.from_pretrained(place, **TRUST)


def plain(place, out):
    model, processor = load(place)
    model.save_pretrained(out)
    processor.save_pretrained(out)


def processor_first(place, out):
    model, processor = load(place)
    processor.save_pretrained(out)
    model.save_pretrained(out)


def over_itself(place, out):
    plain(place, out)
    plain(out, out)


def pipe(place, out):
    pipeline(TASK, model=place, **TRUST).save_pretrained(out)


def pipe_over_another(place, out):
    pipeline(TASK, model=place, **TRUST).save_pretrained(out, max_shard_size="100KB")
    pipe(place, out)


def make_trainer(place, out, **options):
    model, processor = load(place)
    inputs = {name: value[0] for name, value in processor(**ROW).items()}
    arguments = TrainingArguments(
        out, max_steps=1, save_steps=1, learning_rate=0.0, disable_tqdm=True, use_cpu=True, report_to=[], **options
    )
    return Trainer(model, arguments, train_dataset=[{**inputs, "labels": 1}], processing_class=processor)


def trainer(place, out):
    fine_tuned = make_trainer(place, f"{out}-run", save_strategy="no")
    fine_tuned.train()
    fine_tuned.save_model(out)


def trainer_checkpoint(place, out):
    make_trainer(place, f"{out}-run").train()
    Path(f"{out}-run", "checkpoint-1").rename(out)


def merged_lora(place, out):
    from peft import LoraConfig, get_peft_model

    model, processor = load(place)
    model = get_peft_model(model, LoraConfig(target_modules=["query", "value"])).merge_and_unload()
    model.save_pretrained(out)
    processor.save_pretrained(out)


def for_hub(place, out):
    from tgdi_hf.hub.model_card import model_card

    model, processor = load(place)
    tgdi_hf.save_for_hub(out, model, processor, model_card(model, "me/tiny"))


def push_apart(place, repo):
    for part in load(place):
        part.push_to_hub(repo)


def push_while_saving(place, repo):
    folder = Path(JOB["out"], "while saving")
    for part in reversed(load(place)):
        part.save_pretrained(folder, push_to_hub=True, repo_id=repo)


def push_pipe(place, repo):
    pipeline(TASK, model=place, **TRUST).push_to_hub(repo)


def push_pipe_while_saving(place, repo):
    pipeline(TASK, model=place, **TRUST).save_pretrained(
        Path(JOB["out"], "pipe while saving"), push_to_hub=True, repo_id=repo
    )


def push_trainer(place, repo):
    fine_tuned = make_trainer(place, str(Path(JOB["out"], "pushed-run")), save_strategy="no", hub_model_id=repo)
    fine_tuned.train()
    fine_tuned.push_to_hub()


def push_checkpoints(place, repo):
    """As training goes on, and never at its end."""
    out = str(Path(JOB["out"], "saves-run"))
    make_trainer(place, out, push_to_hub=True, hub_model_id=repo, hub_strategy="every_save").train()


def push_package(place, repo):
    tgdi_hf.push_to_hub(repo, *load(place))


FOLDERS = [plain, processor_first, over_itself, pipe, pipe_over_another, trainer, trainer_checkpoint, merged_lora]
PUSHES = [push_apart, push_while_saving, push_pipe, push_pipe_while_saving, push_trainer, push_checkpoints]
OF_PACKAGE = [for_hub, push_package]


def check(place):
    """Loads it in every way, and returns what the model says."""
    model, processor = load(place)
    body = AutoModel.from_pretrained(place, **TRUST)
    assert type(body).__name__ == "TGDIModel"
    pipes = [pipeline(TASK, model=place, **TRUST), pipeline(model=place, **TRUST)]
    home = "tgdi_hf." if JOB["package"] else "transformers_modules."
    for found in (model, model.config, body, processor, *pipes):
        assert type(found).__module__.startswith(home), type(found)
    repr(pipes[0].model.config)
    answers = [pipe([POST, BAD], strict=False) for pipe in pipes]
    assert answers[0] == answers[1]
    assert answers[0][1]["field"] == "image"
    return {"logits": model(**processor(**ROW)).logits[0].tolist(), "score": answers[0][0]["score"]}


def main():
    done = {"checked": {place: check(place) for place in JOB["check"]}, "folders": [], "repos": []}
    for kind, place in JOB["save"].items():
        for way in FOLDERS if not JOB["package"] else [*FOLDERS, for_hub]:
            out = Path(JOB["out"], f"{kind}-{way.__name__}")
            way(place, str(out))
            done["folders"].append(str(out))
        for way in PUSHES if not JOB["package"] else [*PUSHES, push_package]:
            repo = f"me/{kind}-{way.__name__}"
            way(place, repo)
            done["repos"].append(repo)
    Path(JOB["result"]).write_text(json.dumps(done))


if __name__ == "__main__":
    main()

"""Small stand-ins for the models, data and posts that README and the pages of `docs/` name."""

import json
import re
from pathlib import Path
from typing import Any

from datasets import ClassLabel, Dataset, DatasetDict
from transformers import BertModel, ViTModel

from tgdi_hf import RELATIONS
from tgdi_hf.demo.tiny import tiny_image_processor, tiny_text_config, tiny_tokenizer, tiny_vision_config
from tgdi_hf.demo.tiny_model import tiny_tgdi

from .data.mnre_folder import write_lines
from .preparation.tiny_checkpoints import blip, grounding_dino


def write_stand_ins(folder: Path, corpus: DatasetDict) -> None:
    r"""
    Args:
        folder: Gets `path/to/mnre`, `tweets`, files of posts, models under their names on the Hub, and `trained` with
            random checkpoints `demo` and `mnre`.
        corpus: Rows of the embedded corpus.
    """
    for split, rows in corpus.items():
        write_mnre_split(rows, folder / "path/to/mnre", split.replace("validation", "val"))
        write_posts(rows, folder / "tweets" / f"{split}.jsonl")
    write_posts(corpus["test"], folder / "posts.jsonl")
    write_posts(corpus["test"], folder / "new.jsonl")
    write_export(corpus["train"], folder / "export.json")
    posts = [json.loads(line) for line in (folder / "posts.jsonl").read_text(encoding="utf-8").splitlines()]
    Dataset.from_list(posts).to_parquet(folder / "posts.parquet")
    tokenizer = tiny_tokenizer(corpus["train"]["text"])
    for part in (tokenizer, BertModel(tiny_text_config(tokenizer))):
        part.save_pretrained(folder / "bert-base-uncased")
    for part in (tiny_image_processor(), ViTModel(tiny_vision_config())):
        part.save_pretrained(folder / "openai/clip-vit-base-patch32")
    for name, write in (
        ("Salesforce/blip-image-captioning-base", blip),
        ("IDEA-Research/grounding-dino-tiny", grounding_dino),
    ):
        (folder / name).parent.mkdir()
        write(folder / name)
    as_in_mnre = corpus["train"].cast_column("label", ClassLabel(names=list(RELATIONS)))
    for run, rows in (("demo", corpus["train"]), ("mnre", as_in_mnre)):
        for part in tiny_tgdi(DatasetDict({"train": rows})):
            part.save_pretrained(folder / "trained" / run)


def write_mnre_split(rows: Dataset, folder: Path, name: str) -> None:
    """Writes rows in the layout of MNRE: words, spans of words, and image files."""
    posts = []
    for row in rows:
        words = list(re.finditer(r"\w+|[^\w\s]", row["text"]))
        post: dict[str, Any] = {"token": [word[0] for word in words], "img_id": f"{row['id']}.png"}
        for key, entity in (("h", "head"), ("t", "tail")):
            start, end = row[entity]
            inside = [i for i, word in enumerate(words) if start <= word.start() < end]
            post[key] = {"name": row["text"][start:end], "pos": [inside[0], inside[-1] + 1]}
        posts.append({**post, "relation": rows.features["label"].int2str(row["label"])})
        save_image(row, folder / "img_org" / name)
    write_lines(folder / "txt" / f"ours_{name}.txt", posts)


def write_posts(rows: Dataset, file: Path) -> None:
    """Writes rows as JSON Lines with a column `relation`, and their images beside the file."""
    lines = []
    for row in rows:
        post = {key: row[key] for key in ("id", "text", "head", "tail")}
        post["image"] = save_image(row, file.parent)
        post["relation"] = rows.features["label"].int2str(row["label"])
        lines.append(json.dumps(post) + "\n")
    file.write_text("".join(lines), encoding="utf-8")


def write_export(rows: Dataset, file: Path) -> None:
    """Writes rows as Label Studio exports them, with images in `tweets`."""
    tasks = []
    for number, row in enumerate(rows):
        regions = [
            {"id": name, "type": "labels", "value": {"start": row[name][0], "end": row[name][1], "labels": ["PER"]}}
            for name in ("head", "tail")
        ]
        relation = {"type": "relation", "from_id": "head", "to_id": "tail", "direction": "right"}
        relation["labels"] = [rows.features["label"].int2str(row["label"])]
        image = None if row["image"] is None else f"/data/upload/1/0123abcd-{row['id']}.png"
        annotation = {"completed_by": 1, "result": [*regions, relation]}
        tasks.append({"id": number, "data": {"text": row["text"], "image": image}, "annotations": [annotation]})
    file.write_text(json.dumps(tasks), encoding="utf-8")


def save_image(row: dict[str, Any], folder: Path) -> str | None:
    """The name of the row's image file in `folder`; `None` for a row without an image."""
    folder.mkdir(parents=True, exist_ok=True)
    if row["image"] is None:
        return None
    row["image"].save(folder / f"{row['id']}.png")
    return f"{row['id']}.png"

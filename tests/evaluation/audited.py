"""Rows whose labels leak in known ways."""

import io
import random

from datasets import ClassLabel, Dataset
from PIL import Image


def rows_of(count, leak, seed=0):
    """Posts with what `leak` derives from their labels."""
    chance, rows = random.Random(seed), []
    for i in range(count):
        label = int(chance.random() < 0.4)
        post = {
            "text": f"Ann {i} meets Bob",
            "head": [0, 3],
            "tail": [len(f"Ann {i} meets "), len(f"Ann {i} meets Bob")],
        }
        rows.append({**post, "objects": [], "label": label, **leak(label, chance, post)})
    return Dataset.from_list(rows).cast_column("label", ClassLabel(names=["None", "/per/per/peer"]))


def objects(label, chance, post):
    return {"objects": [[0.0, 0.0, 4.0, 4.0]] * (label + (chance.random() < 0.1))}


def order(label, chance, post):
    return {"head": post["tail"], "tail": post["head"]} if label and chance.random() < 0.5 else {}


def nothing(label, chance, post):
    return {"objects": [[0.0, 0.0, 4.0, 4.0]] * chance.randrange(3)}


def image(i, size=(8, 8)):
    content = io.BytesIO()
    Image.new("RGB", size, (i, 10, 10)).save(content, "PNG")
    return content.getvalue()

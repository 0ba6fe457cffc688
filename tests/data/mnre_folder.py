"""Writes small folders in MNRE's layout."""

import json

import torch
from PIL import Image

# The names of a split in the files of text and images, and in those of crops.
FILE_NAMES = {"train": ("train", "train"), "validation": ("val", "dev"), "test": ("test", "test")}


def post(
    words="JFK and Obama at Harvard", head=(0, 1), tail=(4, 5), image="a.jpg", relation="/per/org/member_of", **rest
):
    words = words.split() if isinstance(words, str) else words
    return {
        "token": words,
        "h": {"name": " ".join(words[slice(*head)]), "pos": list(head)},
        "t": {"name": " ".join(words[slice(*tail)]), "pos": list(tail)},
        "img_id": image,
        "relation": relation,
        **rest,
    }


POSTS = [
    post(),
    post(tail=(2, 3), relation="/per/per/alumi"),
    post("A&amp;M beats # Texas 😀 \u2028 it's", head=(0, 1), tail=(2, 4), image="b.jpg", relation="None"),
    # One entity inside the other.
    post("New York Times", head=(0, 3), tail=(0, 2), image="c.jpg", relation="/org/loc/locate_at"),
]
CROPS = {0: ["0_a.png", "0_b.png", "0_c.png"], 1: ["1_a.png", "1_b.png", "1_c.png"], 2: ["2_a.png"], 3: ["3_a.png"] * 4}
PHRASES = {str(i): f"{p['h']['name']} {p['t']['name']}" for i, p in enumerate(POSTS)}


def write_lines(file, records):
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [record if isinstance(record, str) else repr(record) for record in records]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")
    return file


def write_image(file, size=(8, 6), color="red"):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(file)


def write_split(folder, split="train", posts=POSTS, images=("a.jpg", "b.jpg")):
    """A split in the layout of HVPNeT: text, images, crops, and phrases; neither captions nor relevance."""
    short, short_of_crops = FILE_NAMES[split]
    write_lines(folder / f"txt/ours_{short}.txt", posts)
    for name in images:
        write_image(folder / f"img_org/{short}/{name}")
    for name in ("0_a.png", "0_c.png", "2_a.png"):
        write_image(folder / f"img_vg/{short}/crops/{name}", size=(4, 4), color="blue")
    torch.save(CROPS, folder / f"txt/mre_{short_of_crops}_dict.pth")
    (folder / f"txt/phrase_text_{short}.json").write_text(json.dumps(PHRASES))


# In the format of MNRE-1: its spelling of the label for no relation, and a relation that MNRE-2 lacks.
MNRE_1_POSTS = [
    post(relation="none"),
    post(tail=(2, 3), relation="/per/per/colleague"),
    post(head=(2, 3), relation="/per/org/member_of"),
    post("Paris France", head=(1, 2), tail=(0, 1), image="b.jpg", relation="/loc/loc/contain"),
    post("Ann meets Bob", tail=(2, 3), image="missing.jpg", relation="/per/per/peer"),
    post("Ann meets Bob in Rome", tail=(4, 5), image="b.jpg", relation="none"),
]
MNRE_1_RELATIONS = [
    "none",
    "/loc/loc/contain",
    "/per/org/member_of",
    "/per/per/colleague",
    "/per/per/peer",
]


def write_mnre_1(folder, posts=MNRE_1_POSTS, splits=("train", "val"), images="img_org/{}"):
    """The layout of the repository of MNRE-1: text without a file of relations, captions, relevance or crops."""
    for split in splits:
        write_lines(folder / f"mnre_txt/mnre_org_{split}.txt", posts)
        for name in ("a.jpg", "b.jpg"):
            write_image(folder / images.format(split) / name)
    return folder

"""The corpus of a run: its name, and the embedded corpus as a folder of posts with the tiny encoders of the demo."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import DatasetDict
from transformers import AutoModel, set_seed

from tgdi_hf import make_corpus
from tgdi_hf.data.mnre_schema import RELATIONS
from tgdi_hf.demo.corpus_schema import LABELS
from tgdi_hf.demo.tiny import tiny_image_processor, tiny_text_config, tiny_tokenizer, tiny_vision_config

MNRE = "MNRE"


def corpus_name(data: Path, names: Sequence[str]) -> str:
    """The title of a corpus, from its relations; of an unknown one, its folder's name."""
    known = {frozenset(RELATIONS): MNRE, frozenset(LABELS): "embedded corpus"}
    return known.get(frozenset(names), data.resolve().name)


def write_corpus(
    folder: Path, rows: Mapping[str, int] | None = None, seed: int = 0, name_scenes: bool = False
) -> DatasetDict:
    r"""
    Writes the embedded corpus, where images matter by construction, in the format of `load_data`: texts, images,
    boxes of objects and captions. `encoders/text` and `encoders/vision` in the same folder are the demo's tiny encoders
    with random weights, for runs that train both.

    Args:
        folder: A folder that does not exist yet or is empty.
        rows, seed: See `make_corpus`. The seed is also that of the encoders' weights.
        name_scenes: Whether captions name the scene of their image, which the relation depends on; by default they are
            vague. As with vague captions, half of the images have one.

    Returns:
        The corpus.

    Raises:
        ValueError: The folder is not empty.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty; expected a new folder for the corpus. Choose another name.")
    corpus = make_corpus(rows, seed=seed)
    if name_scenes:
        corpus = corpus.map(_name_scene)
    corpus.save_to_disk(str(folder))
    captions = [caption for caption in corpus["train"]["caption"] if caption]
    tokenizer = tiny_tokenizer([*corpus["train"]["text"], *captions])
    set_seed(seed)
    for name, config, reader in (
        ("text", tiny_text_config(tokenizer), tokenizer),
        ("vision", tiny_vision_config(), tiny_image_processor()),
    ):
        reader.save_pretrained(folder / "encoders" / name)
        AutoModel.from_config(config).save_pretrained(folder / "encoders" / name)
    return corpus


def _name_scene(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"caption": row["caption"] and f"{row['scene'].replace('_', ' ')} in a drawing"}

"""The keys of a post: missing values, and misspelled or synonymous keys."""

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from numbers import Number
from typing import Any

import numpy as np
from transformers.utils import logging

from .invalid_post import InvalidPost

logger = logging.get_logger(__name__)

POST_KEYS = ("text", "words", "head", "tail", "entities", "image", "objects", "caption", "id", "where")
# Other names for each key, in lower case and without underscores. Columns that datasets of posts often have besides
# (`source`, `title`, `url`, `media`, `image_id`, …) are omitted on purpose.
SYNONYMS = {
    "text": "sentence sentences sent tweet tweets tweettext content contents body message msg post posttext fulltext "
    "rawtext sentencetext document comment",
    "words": "token tokens word wordlist tokenlist tokenized",
    "head": "subject subj h e1 entity1 ent1 arg1 headentity headspan headpos headmention headstart headend "
    "subjectentity",
    "tail": "object obj t e2 entity2 ent2 arg2 tailentity tailspan tailpos tailmention tailstart tailend objectentity",
    "entities": "entity ents ent mention mentions entitymentions entitylist namedentities ner nes spans",
    "image": "img imgs images imagepath imagepaths imgpath imagefile imgfile imagefilename filename imagename imgname "
    "imgid imageurl imgurl imagebytes picture pictures picturepath photo photos photopath pic pics mediapath mediaurl",
    "objects": "object obj objs objectboxes objectpaths box boxes bbox bboxes boundingbox boundingboxes regions rois "
    "detections crops",
    "caption": "captions captiontext captionstr cap imagecaption imgcaption",
}
# The column of an image in the metadata of an imagefolder of `datasets`.
FILE_NAME = "file_name"
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".heic")
_NEVER_MISSING = frozenset((str, int, bool, bytes, list, tuple, dict))
_named: set[str] = set()


def is_missing(value: Any) -> bool:
    """Whether a value represents an empty cell: `None`, NaN of any float type, `pandas.NA` or `NaT`."""
    if type(value) in _NEVER_MISSING:  # the most frequent types; checks of abstract classes are slow
        return False
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, Number | np.generic) and bool(value != value)


def without_nan(post: Mapping[str, Any]) -> dict[str, Any]:
    """Replaces every missing value of a post by `None`, also in its lists and in the mappings of its entities."""
    return {
        key: _none_if_missing(value, nested=key in POST_KEYS) for key, value in post.items() if isinstance(key, str)
    }


def _none_if_missing(value: Any, nested: bool) -> Any:
    if value is None or type(value) is str:
        return value
    if nested and isinstance(value, Mapping):
        return {key: _none_if_missing(part, nested=False) for key, part in value.items()}
    is_list = isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.dtype == object)
    if nested and is_list and any(is_missing(part) or isinstance(part, Mapping) for part in value):
        return [_none_if_missing(part, nested=isinstance(part, Mapping)) for part in value]
    return None if is_missing(value) else value


def checked_post(post: Mapping[str, Any], where: str, need_entities: bool = True) -> dict[str, Any]:
    r"""
    Normalizes a post: missing values become `None`, and `file_name` becomes the image of a post without the key
    `image`. Warns once per process of each key that is probably a misspelling or synonym of a missing one.

    Args:
        post: The post as passed by the user.
        where: Names the post in messages.
        need_entities: Whether the post requires head and tail, or entities.

    Raises:
        InvalidPost: A required key is missing, but another key is probably a misspelling or synonym of it, or its cell
            is empty. Other missing keys are reported by the code that reads them.
    """
    found = without_nan(post)
    if "image" not in found and str(found.get(FILE_NAME)).lower().endswith(IMAGE_SUFFIXES):
        found["image"] = found[FILE_NAME]
    given = [key for key, value in found.items() if not _is_empty(value)]
    lacking = lacking_keys(given)
    if "text" in lacking:
        _refuse(post, where, given, ("text", "words"), ("text", "words"))
    if need_entities:
        pair = [name for name in ("head", "tail") if name in lacking]
        for name in pair:
            _refuse(post, where, given, (name,), (name, "entities") if len(pair) == 2 else (name,))
    # An empty list of objects and an empty caption are values.
    lacking -= {name for name in ("objects", "caption") if found.get(name) is not None}
    name_near_misses(given, lacking, where)
    return found


def lacking_keys(present: Collection[str]) -> set[str]:
    """The keys missing beside those present: one of `text` and `words` suffices, and so do either `entities` or both
    head and tail."""
    lacking = {name for name in SYNONYMS if name not in present}
    if {"text", "words"} - lacking:
        lacking -= {"text", "words"}
    if "entities" not in lacking or not {"head", "tail"} & lacking:
        lacking -= {"head", "tail", "entities"}
    return lacking


def name_near_misses(keys: Iterable[str], lacking: Collection[str], where: str) -> None:
    r"""
    Warns, once per process and key, of ignored keys that are probably misspellings or synonyms of missing ones.

    Args:
        keys: The keys with a value.
        lacking: See `lacking_keys`.
        where: Names the post or table in messages.
    """
    for key in keys:
        meant = [name for name in meant_keys(key) if name in lacking]
        if meant and key not in _named:
            _named.add(key)
            logger.warning(
                f"{where}: the key {key!r} is ignored; did you mean {_either(meant)}? If so, rename it. This warning "
                "is not repeated for this key."
            )


def hint(keys: Iterable[str], names: Collection[str]) -> str:
    """A hint at the key that is probably a misspelling or synonym of one of `names`; empty if there is none."""
    for key in keys:
        if meant := [name for name in meant_keys(key) if name in names]:
            return f" (found `{key}`; did you mean {_either(meant)}?)"
    return ""


@lru_cache(maxsize=4096)
def meant_keys(key: Any) -> tuple[str, ...]:
    """The keys of a post of which another key is probably a synonym, another spelling, or a typo."""
    if not isinstance(key, str) or key in POST_KEYS:
        return ()
    plain = "".join(character for character in key.lower() if character.isalnum())
    synonyms = tuple(name for name, others in SYNONYMS.items() if plain == name or plain in others.split())
    return synonyms or tuple(name for name in SYNONYMS if is_typo(plain, name))


def is_typo(found: str, meant: str) -> bool:
    """Whether one letter is missing, added, swapped with the next one, or, in long words, replaced."""
    common = next((i for i, (a, b) in enumerate(zip(found, meant)) if a != b), min(len(found), len(meant)))
    found, meant, long = found[common:], meant[common:], len(meant) > 4
    return (
        found == meant[1:]
        or found[1:] == meant
        or (len(found) > 1 and found[1::-1] + found[2:] == meant)
        or (long and found[1:] == meant[1:])
    )


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str | list | tuple | Mapping) and not len(value))


def _refuse(
    post: Mapping[str, Any], where: str, given: list[str], names: tuple[str, ...], accepted: tuple[str, ...]
) -> None:
    """Rejects a post whose required key is empty, or misspelled as one of the given keys."""
    for name in names:
        if post.get(name) is not None and is_missing(post[name]):
            found = str(post[name]).replace("nan", "NaN")
            expected = "" if name in ("text", "words") else "; expected a span [start, end) or the entity's name"
            raise InvalidPost(f"{where}: `{name}` is {found}: the cell is empty{expected}.", name)
    if found := hint(given, accepted):
        raise InvalidPost(f"{where}: the post has no {_either(names)}{found}.", names[0])


def _either(names: Iterable[str]) -> str:
    return " or ".join(f"`{name}`" for name in names)

"""The keys of a post: what is missing, and which other keys are probably meant for one of them."""

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from numbers import Number
from typing import Any

import numpy as np
from transformers.utils import logging

from .invalid_post import InvalidPost

logger = logging.get_logger(__name__)

POST_KEYS = ("text", "words", "head", "tail", "entities", "image", "objects", "caption", "id", "where")
# Other names for a key, in lower case and without underscores. Columns that posts often have beside these keys
# (`source`, `title`, `url`, `media`, `image_id`, …) are left out on purpose.
SYNONYMS = {
    "text": "sentence sentences sent tweet tweets tweettext content contents body message msg post posttext fulltext "
    "rawtext sentencetext document comment",
    "words": "token tokens word wordlist tokenlist tokenized",
    "head": "subject subj h e1 entity1 ent1 arg1 headentity headspan headpos headmention headstart headend "
    "subjectentity",
    "tail": "object obj t e2 entity2 ent2 arg2 tailentity tailspan tailpos tailmention tailstart tailend objectentity",
    "entities": "entity ents ent mention mentions entitymentions entitylist namedentities ner nes spans",
    "image": "img imgs images imagepath imagepaths imgpath imagefile imgfile imagefilename filename imagename imgname "
    "imgid imageurl imgurl imagebytes image images imagepath photo photos photopath pic pics mediapath mediaurl",
    "objects": "object obj objs objectboxes objectpaths box boxes bbox bboxes boundingbox boundingboxes regions rois "
    "detections crops",
    "caption": "captions captiontext captionstr cap imagecaption imgcaption",
}
# How `datasets` calls the image in the metadata of an imagefolder.
FILE_NAME = "file_name"
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".heic")
_NEVER_MISSING = frozenset((str, int, bool, bytes, list, tuple, dict))
_named: set[str] = set()


def is_missing(value: Any) -> bool:
    """Whether a value stands for an empty cell: `None`, NaN of any kind of float, `pandas.NA` or `NaT`."""
    if type(value) in _NEVER_MISSING:  # nearly all there is, and asking abstract classes takes its time
        return False
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, Number | np.generic) and bool(value != value)


def without_nan(post: Mapping[str, Any]) -> dict[str, Any]:
    """The post with `None` for every missing value, in its lists and in the mappings of its entities, too."""
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
    A post as its readers expect it. Missing values are `None`; `file_name` is the image of a post without the key
    `image`. A key that is probably meant for one that the post lacks is named in a warning, once per process.

    Args:
        post: As somebody gives it.
        where: Names the post in messages.
        need_entities: Whether it has to have head and tail, or entities.

    Raises:
        InvalidPost: A required key is missing, and the message can say more than that: another key is probably meant
            for it, or its cell is empty.
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
    # An empty list of objects, or an empty caption, says that there is none.
    lacking -= {name for name in ("objects", "caption") if found.get(name) is not None}
    name_near_misses(given, lacking, where)
    return found


def lacking_keys(present: Collection[str]) -> set[str]:
    """The keys that a post lacks which has these: either of `text` and `words` will do, and so will `entities` for head
    and tail, or the other way round."""
    lacking = {name for name in SYNONYMS if name not in present}
    if {"text", "words"} - lacking:
        lacking -= {"text", "words"}
    if "entities" not in lacking or not {"head", "tail"} & lacking:
        lacking -= {"head", "tail", "entities"}
    return lacking


def name_near_misses(keys: Iterable[str], lacking: Collection[str], where: str) -> None:
    r"""
    Warns, once per process and key, of keys that are passed over though they are probably meant for one that is
    lacking.

    Args:
        keys: Those that have a value.
        lacking: See `lacking_keys`.
        where: Names what has the keys, in messages.
    """
    for key in keys:
        meant = [name for name in meant_keys(key) if name in lacking]
        if meant and key not in _named:
            _named.add(key)
            logger.warning(
                f"{where}: the key {key!r} is not read; did you mean {_either(meant)}? Rename it if so. This is said "
                "once for this key."
            )


def hint(keys: Iterable[str], names: Collection[str]) -> str:
    """What to add to the message that a key is missing: which other key is probably meant for one of `names`."""
    for key in keys:
        if meant := [name for name in meant_keys(key) if name in names]:
            return f" (found `{key}`; did you mean {_either(meant)}?)"
    return ""


@lru_cache(maxsize=4096)
def meant_keys(key: Any) -> tuple[str, ...]:
    """The keys of a post that another key is probably meant for: a synonym, another spelling, or a typing error."""
    if not isinstance(key, str) or key in POST_KEYS:
        return ()
    plain = "".join(character for character in key.lower() if character.isalnum())
    synonyms = tuple(name for name, others in SYNONYMS.items() if plain == name or plain in others.split())
    return synonyms or tuple(name for name in SYNONYMS if is_typo(plain, name))


def is_typo(found: str, meant: str) -> bool:
    """Whether one letter is missing, added, or swapped with the next; or, in long words, another one."""
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
    """Says of a key that is missing what `accepted` keys the given ones are probably meant for, or that it is NaN."""
    for name in names:
        if post.get(name) is not None and is_missing(post[name]):
            found = str(post[name]).replace("nan", "NaN")
            expected = "" if name in ("text", "words") else "; expected a span [start, end) or the entity's name"
            raise InvalidPost(f"{where}: `{name}` is {found}: the cell is empty{expected}.", name)
    if found := hint(given, accepted):
        raise InvalidPost(f"{where}: the post has no {_either(names)}{found}.", names[0])


def _either(names: Iterable[str]) -> str:
    return " or ".join(f"`{name}`" for name in names)

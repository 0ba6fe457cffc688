"""Relations in plain language, as a prompt lists them, and those that a row may have."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tgdi_hf.processing.entity_types import allowed_relations, types_in_label

TYPE_COLUMNS = ("head_type", "tail_type")
NO_RELATION = "no other relation of this list holds between head and tail"
# Of MNRE's relations and those of the embedded corpus. Symmetric ones mention both entities alike.
DESCRIPTIONS = {
    "/per/per/parent": "head and tail are parent and child",
    "/per/per/siblings": "head and tail are brothers or sisters",
    "/per/per/couple": "head and tail are married or a couple",
    "/per/per/neighbor": "head and tail live next to each other",
    "/per/per/peer": "head and tail are peers, such as colleagues, team-mates or rivals",
    "/per/per/charges": "one of head and tail accuses or charges the other",
    "/per/per/alumi": "head and tail attended the same school",
    "/per/per/alternate_names": "head and tail are names of the same person",
    "/per/org/member_of": "the head is a member of the organization that is the tail",
    "/per/loc/place_of_residence": "the head lives in the tail",
    "/per/loc/place_of_birth": "the head was born in the tail",
    "/org/org/alternate_names": "head and tail are names of the same organization",
    "/org/org/subsidiary": "head and tail are a parent organization and its subsidiary",
    "/org/loc/locate_at": "the organization that is the head is located in the tail",
    "/loc/loc/contain": "the place that is the head contains the tail",
    "/per/misc/present_in": "the head appears in the tail, such as an event, a show or a work",
    "/per/misc/awarded": "the head was awarded the tail",
    "/per/misc/race": "the head is of the race or ethnic group that is the tail",
    "/per/misc/religion": "the head has the religion that is the tail",
    "/per/misc/nationality": "the head has the nationality that is the tail",
    "/misc/misc/part_of": "the head is a part of the tail",
    "/misc/loc/held_on": "the event that is the head is held in the tail",
}


def describe(names: Sequence[str], negative: str | None, given: Mapping[str, str] | None = None) -> dict[str, str]:
    r"""
    Describes relations in plain language.

    Args:
        names: The relations.
        negative: The label that stands for no relation.
        given: Descriptions that take precedence, see `read_descriptions`.

    Returns:
        From each name to its description. Relations that neither `given` nor `DESCRIPTIONS` has are described by the
        words of their own names.
    """
    if unknown := sorted(set(given or ()) - set(names)):
        raise ValueError(f"Descriptions of {unknown[0]!r}, which is not a label; the labels are {', '.join(names)}.")
    known = {**DESCRIPTIONS, **({} if negative is None else {negative: NO_RELATION}), **(given or {})}
    return {name: known.get(name, _words(name)) for name in names}


def _words(name: str) -> str:
    last = name.rpartition("/")[2] if types_in_label(name) else name
    return " ".join(last.replace("_", " ").replace(":", " ").split())


def read_descriptions(file: Path) -> dict[str, str]:
    r"""
    Reads a JSON object from relations to descriptions.

    Raises:
        ValueError: The file cannot be read, or is not such an object; the message names the entry.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{file} cannot be read as JSON: {error}") from error
    if not isinstance(found, dict) or not found:
        raise ValueError(f"{file}: expected a JSON object from relations to descriptions, found {found!r:.80}.")
    for name, text in found.items():
        if not isinstance(text, str) or not text.strip() or "\n" in text:
            raise ValueError(f"{file}, {name!r}: expected a description of one line, found {text!r:.80}.")
    return found


def allowed_for(row: Mapping[str, Any], names: Sequence[str], where: str) -> tuple[bool, ...]:
    r"""
    The relations that the entity types of a row allow, by the types in the relations' names.

    Types are read from the columns `head_type` and `tail_type` alone, as of a tagger or an annotator. Those in the true
    label would give away whether there is a relation, because `None` has no types. A row without types may have any.

    Args:
        row: A row of the corpus.
        names: The relations in the order of their ids.
        where: Names the row in messages.

    Raises:
        ValueError: A type is not a string.
    """
    types = [row.get(column) for column in TYPE_COLUMNS]
    for column, value in zip(TYPE_COLUMNS, types):
        if value is not None and not isinstance(value, str):
            raise ValueError(f"{where}: `{column}` is {value!r:.80}; expected an entity type, such as 'per', or None.")
    return allowed_relations(tuple(names), *(value or None for value in types))

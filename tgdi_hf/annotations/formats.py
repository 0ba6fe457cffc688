"""The formats that can be imported, their readers, and the units of their offsets; imported by the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .document import Document, Report
    from .reader_options import ReaderOptions


class Format(StrEnum):
    """Formats that can be imported."""

    label_studio = "label-studio"
    brat = "brat"
    doccano = "doccano"
    prodigy = "prodigy"
    docbin = "docbin"


class Unit(StrEnum):
    """Units in which tools count offsets."""

    code_points = "code-points"
    utf_16 = "utf-16"
    bytes = "bytes"
    graphemes = "graphemes"


# Format -> module and function of its reader, imported on first use.
_READERS = {
    Format.label_studio: ("label_studio", "read_label_studio"),
    Format.brat: ("brat", "read_brat"),
    Format.doccano: ("doccano", "read_doccano"),
    Format.prodigy: ("prodigy", "read_prodigy"),
    Format.docbin: ("docbin", "read_docbin"),
}


def reader_of(format: Format) -> Callable[[Path, ReaderOptions, Report], Iterator[Document]]:
    """The reader of a format."""
    module, name = _READERS[format]
    return getattr(import_module(f".{module}", __package__), name)

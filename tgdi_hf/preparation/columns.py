"""Columns that the scan adds for the later steps and that the output leaves out, and keys of cached results."""

from dataclasses import dataclass

# Rows per batch of `Dataset.map`, and images per query of the cache.
ROWS_PER_BATCH = 1000

QUERY = "_query"  # the phrases to detect, as JSON
FAULT = "_fault"  # why the row is left out; null if it is kept
WANTS_CAPTION, WANTS_OBJECTS = "_wants_caption", "_wants_objects"
ROW = "_row"  # the index of the post, which may have several rows
HELPERS = [QUERY, FAULT, WANTS_CAPTION, WANTS_OBJECTS, ROW]


@dataclass(frozen=True)
class Keys:
    r"""
    The keys of this run in the result cache, see `ResultCache.register`.

    Args:
        image: Sizes of images, and reasons why images cannot be decoded.
        caption, objects: Captions and detected objects; `None` without a captioner or a grounder.
    """

    image: str
    caption: str | None
    objects: str | None

"""Predictions as JSON Lines on the standard output."""

import codecs
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from ..data.post_stream import read_posts
from .bulk_prediction import BulkPrediction
from .prediction_rows import without_maps


def print_predictions(pipe: Callable, posts: str | Path, strict: bool, **options: Any) -> BulkPrediction:
    r"""
    Predicts the relations in a file of posts and prints them as JSON Lines; errors of single posts go to the standard
    error. If the encoding of the stream is not UTF-8, characters outside ASCII are escaped, so that each line is JSON
    in any encoding.

    Args:
        pipe: A `MultimodalRelationExtractionPipeline`.
        posts: See `read_posts`.
        strict: Raise an error for the first post that cannot be used.
        options: Arguments of the pipeline's call.

    Returns:
        `BulkPrediction` with the numbers of posts.
    """
    escaped = {stream: not is_utf8(stream) for stream in (sys.stdout, sys.stderr)}
    rows = bad = 0
    for prediction in map(without_maps, pipe(read_posts(posts, strict), strict=strict, **options)):
        stream = sys.stderr if "error" in prediction else sys.stdout
        text = json.dumps({"row": rows, **prediction}, ensure_ascii=escaped[stream])
        print(text.encode("utf-8", "backslashreplace").decode(), file=stream)
        rows, bad = rows + 1, bad + ("error" in prediction)
    return BulkPrediction(rows, bad, None)


def is_utf8(stream: TextIO) -> bool:
    """Whether a stream encodes text as UTF-8; a stream without an encoding keeps text as it is."""
    encoding = getattr(stream, "encoding", None)
    return encoding is None or codecs.lookup(encoding).name == "utf-8"

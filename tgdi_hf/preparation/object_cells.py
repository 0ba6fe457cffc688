"""The `objects` of posts: boxes, or image crops, possibly as JSON cells of a table."""

import os
from collections.abc import Callable
from typing import Any

from datasets import Dataset, Features, Image, List, Value

from ..data.table_cells import objects_cell
from .columns import ROWS_PER_BATCH
from .image_finder import ImageFinder


def holds_crops(rows: Dataset) -> bool:
    """Whether the objects of some post are image crops, as in the published MNRE data."""
    feature = rows.features.get("objects")
    if not (isinstance(feature, List) and isinstance(feature.feature, Image)):
        return False
    return any(parts for batch in rows.select_columns(["objects"]).iter(ROWS_PER_BATCH) for parts in batch["objects"])


def kind_of_objects(rows: Dataset) -> str | None:
    r"""
    Returns:
        `"boxes"` or `"paths"`, after the first post with objects, for a column of JSON cells or of lists of paths;
        `None` if the column has a type of `datasets` for boxes or images already, or is missing.
    """
    feature = rows.features.get("objects")
    has_cells = isinstance(feature, Value) and feature.dtype in ("string", "large_string")
    if not has_cells and not (isinstance(feature, List) and isinstance(feature.feature, Value)):
        return None
    for number, row in enumerate(rows.select_columns(["objects"])):
        try:
            parts = objects_cell(row["objects"], f"row {number}")
        except ValueError:
            continue
        if parts:
            return "paths" if isinstance(parts[0], str) else "boxes"
    return "boxes"


def with_typed_objects(
    rows: Dataset, split: str, finder: ImageFinder, report: Callable[[Any, int, str], None]
) -> Dataset:
    r"""
    Converts JSON cells and lists of paths to boxes or images of `datasets`.

    Args:
        rows: A split; one whose objects have these types already is returned unchanged.
        split: Its name.
        finder: Resolves paths.
        report: Called with the id of the post, its row and the reason for objects that cannot be used.
    """
    kind = kind_of_objects(rows)
    if kind is None:
        return rows
    feature = List(Image(decode=False)) if kind == "paths" else List(List(Value("float32")))

    def convert(cells: list, *rest: list) -> dict[str, list]:
        found: list[list | None] = []
        *ids, indices = rest
        for i, (cell, index) in enumerate(zip(cells, indices)):
            try:
                found.append(_typed_objects(cell, kind, finder, f"{split}, row {index}"))
            except (ValueError, TypeError) as error:
                found.append(None)
                report(ids[0][i] if ids else None, index, str(error))
        return {"objects": found}

    return rows.map(
        convert,
        batched=True,
        batch_size=ROWS_PER_BATCH,
        with_indices=True,
        input_columns=["objects", *(["id"] if "id" in rows.column_names else [])],
        features=Features({**rows.features, "objects": feature}),
        load_from_cache_file=False,
        new_fingerprint=f"objects-{split}",
        desc=f"reading objects of {split}",
    )


def _typed_objects(cell: Any, kind: str, finder: ImageFinder, where: str) -> list | None:
    parts = objects_cell(cell, where)
    expected = str if kind == "paths" else list
    if wrong := [part for part in parts or () if not isinstance(part, expected)]:
        raise ValueError(f"{where}: `objects` has {wrong[0]!r:.80}; other posts have {kind}.")
    if parts is None:
        return None
    if kind == "boxes":
        return [[float(number) for number in box] for box in parts]
    crops = []
    for part in parts:
        path = finder.source(part).path
        if path is None or not os.path.isfile(path):
            raise ValueError(f"{path or part}: no such file.")
        crops.append({"bytes": None, "path": path})
    return crops

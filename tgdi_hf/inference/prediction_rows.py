"""Rows of predictions: their columns in tables, and the conversion of a prediction into a row."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..data.row_writer import table_of

if TYPE_CHECKING:
    import pyarrow

# Columns in CSV and Parquet files; nested values are written as JSON.
COLUMNS = {
    "row": int,
    "id": str,
    "head": str,
    "relation": str,
    "tail": str,
    "score": float,
    "gate": float,
    "relations": str,
    "pairs": str,
    "evidence": str,
    "truncated": str,
}
ERROR_COLUMNS = {"row": int, "id": str, "field": str, "error": str}
# Columns of tables that several processes or machines write in parts.
TABLE_COLUMNS = {"id": str, "relation": str, "error": str, "field": str, "pairs": str, "score": float, "gate": float}


def as_table(predictions: Iterable[Mapping[str, Any]]) -> "pyarrow.Table":
    """A table of predictions with the columns `TABLE_COLUMNS`, whatever the predictions contain; `pairs` as JSON."""
    return table_of(predictions, TABLE_COLUMNS)


def without_maps(prediction: dict[str, Any]) -> dict[str, Any]:
    """Removes similarity and cosine of image patches and tokens from the evidence: thousands of numbers per pair."""
    for part in (prediction, *prediction.get("pairs", ())):
        for name in ("similarity", "cosine"):
            part.get("evidence", {}).pop(name, None)
    return prediction


def with_entity_names(prediction: dict[str, Any], suffix: str) -> dict[str, Any]:
    """Replaces head and tail by their texts for file formats with columns; JSON keeps the spans."""
    if suffix in (".jsonl", ".json") or "pairs" in prediction:
        return prediction
    return {**prediction, "head": prediction["head"]["text"], "tail": prediction["tail"]["text"]}

"""Third step of `prepare`: joins posts with captions and objects."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datasets import Dataset, Features, Image, List, Value

from ..processing.image_boxes import check_box
from ..processing.post_keys import without_nan
from .columns import FAULT, HELPERS, QUERY, ROW, ROWS_PER_BATCH, Keys
from .faults import Fault
from .object_cells import holds_crops
from .result_cache import Item, ResultCache

GIVEN = "given"  # `caption_by` and `objects_by` of captions and objects that the posts have already


class SplitJoin:
    r"""
    Joins the posts of one split with the cached results.

    Args:
        rows: The split from `SplitScan`.
        split: Name of the split.
        results, keys: The cache, and the keys of this run in it.
        failures: Reasons by kind, image and query, for items without a result.
        report: List that a `Fault` is appended to for every post with such an item.
    """

    def __init__(
        self,
        rows: Dataset,
        split: str,
        results: ResultCache,
        keys: Keys,
        failures: Mapping[tuple[str, ...], str],
        report: list[Fault],
    ):
        self.rows, self.split, self.results, self.keys = rows, split, results, keys
        self.failures, self.report = failures, report
        self.crops = holds_crops(rows)
        self.reported: set[tuple[int, str, str]] = set()  # a post may have several rows
        read = ["id", "image", "image_hash", "caption", "objects", *HELPERS]
        self.columns = [name for name in read if name in rows.column_names]

    def write(self, folder: Path) -> Dataset:
        """The joined rows, in an Arrow file in `folder`."""
        usable = [i for i, fault in enumerate(self.rows[FAULT][:]) if fault is None]
        features = self.rows.features.copy()
        for name in HELPERS:
            del features[name]
        features["image"] = Image()
        features |= {"caption": Value("string"), "caption_by": Value("string")}
        if not self.crops:
            features["objects"] = List(List(Value("float32")))
            features |= {"object_scores": List(Value("float32")), "object_phrases": List(Value("string"))}
        features["objects_by"] = Value("string")
        return self.rows.select(usable).map(
            self._join_batch,
            batched=True,
            batch_size=ROWS_PER_BATCH,
            input_columns=self.columns,
            remove_columns=HELPERS,
            features=Features(features),
            cache_file_name=str(folder / f"finished-{self.split}.arrow"),
            load_from_cache_file=False,
            new_fingerprint=f"prepared-{self.split}",
            desc=f"joining {self.split}",
        )

    def _join_batch(self, *values: list) -> dict[str, list]:
        posts = [dict(zip(self.columns, row)) for row in zip(*values)]
        digests = [(post["image_hash"], "") for post in posts if post["image_hash"]]
        images = self.results.get(self.keys.image, digests)
        captions = self.results.get(self.keys.caption, digests) if self.keys.caption else {}
        queries = [(post["image_hash"], post[QUERY]) for post in posts if post["image_hash"] and post[QUERY]]
        objects = self.results.get(self.keys.objects, queries) if self.keys.objects else {}
        joined = [self._join_post(post, images, captions, objects) for post in posts]
        return {name: [row[name] for row in joined] for name in joined[0]}

    def _join_post(
        self,
        post: dict[str, Any],
        images: Mapping[Item, Any],
        captions: Mapping[Item, Any],
        objects: Mapping[Item, Any],
    ) -> dict[str, Any]:
        digest, query = post["image_hash"], post[QUERY]
        image = images.get((digest, ""), {})
        reason = image.get("error") or self.failures.get(("image", digest, ""))
        if reason is not None:
            self._fault(post, "image", reason)
            digest = None
        row = {"image": post["image"] if digest else None, "image_hash": digest}
        post = without_nan(post)
        given = post.get("caption") or None
        row["caption"], row["caption_by"] = given, GIVEN if given else None
        if digest and not given and self.keys.caption:
            row["caption"] = self._result(post, "caption", captions, (digest, ""))
            row["caption_by"] = None if row["caption"] is None else self.keys.caption
        parts = post.get("objects") or []
        if not self.crops:
            parts = self._checked_boxes(post, parts, image.get("size") if digest else None)
        row["objects_by"] = GIVEN if parts else None
        if self.crops:
            return row
        scores: list[float] = []
        phrases: list[str] = []
        if digest and not parts and self.keys.objects:
            detected = self._result(post, "objects", objects, (digest, query))
            parts, scores, phrases = ([part[name] for part in detected or []] for name in ("box", "score", "phrase"))
            row["objects_by"] = None if detected is None else self.keys.objects
        return {**row, "objects": parts, "object_scores": scores, "object_phrases": phrases}

    def _checked_boxes(self, post: Mapping[str, Any], boxes: list, size: list[int] | None) -> list:
        """The boxes that a post has already; none if the image is missing or if one of them does not fit the image."""
        if not boxes:
            return boxes
        if size is None:
            self._fault(post, "objects", "boxes without a usable image are left out.")
            return []
        try:
            for i, box in enumerate(boxes):
                check_box(box, size, f"object {i}")
        except ValueError as error:
            self._fault(post, "objects", str(error))
            return []
        return boxes

    def _result(self, post: Mapping[str, Any], kind: str, results: Mapping[Item, Any], item: Item) -> Any:
        if item not in results:
            self._fault(post, kind, self.failures.get((kind, *item), "the model returned no result."))
        return results.get(item)

    def _fault(self, post: Mapping[str, Any], kind: str, reason: str) -> None:
        if (post[ROW], kind, reason) in self.reported:
            return
        self.reported.add((post[ROW], kind, reason))
        identity = None if post.get("id") is None else str(post["id"])
        self.report.append(Fault(self.split, post[ROW], identity, kind, reason, kept=True))

"""The third step of `prepare`: joins posts and results."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datasets import Dataset, Features, Image, List, Value

from ..processing.image_boxes import check_box
from ..processing.post_keys import without_nan
from .result_cache import Item, ResultCache
from .scan import FAULT, HELPERS, QUERY, ROW, ROWS_AT_ONCE, Fault, Keys

GIVEN = "given"  # what `caption_by` and `objects_by` say of what the posts brought with them


class Join:
    r"""
    Joins posts and results.

    Args:
        faults: Reasons by kind, image and query, of what the models failed on.
        report: Takes up a `Fault` for every post concerned.
    """

    def __init__(self, results: ResultCache, keys: Keys, faults: Mapping[tuple[str, ...], str], report: list[Fault]):
        self.results, self.keys, self.faults, self.report = results, keys, faults, report

    def __call__(self, rows: Dataset, split: str, part: Path) -> Dataset:
        self.split, self.crops = split, holds_crops(rows)
        self.reported: set[tuple[int, str, str]] = set()  # of a post there may be several rows
        usable = [i for i, fault in enumerate(rows[FAULT][:]) if fault is None]
        features = rows.features.copy()
        for name in HELPERS:
            del features[name]
        features["image"] = Image()
        features |= {"caption": Value("string"), "caption_by": Value("string")}
        if not self.crops:
            features["objects"] = List(List(Value("float32")))
            features |= {"object_scores": List(Value("float32")), "object_phrases": List(Value("string"))}
        features["objects_by"] = Value("string")
        read = ["id", "image", "image_hash", "caption", "objects", *HELPERS]
        self.columns = [name for name in read if name in rows.column_names]
        return rows.select(usable).map(
            self._batch,
            batched=True,
            batch_size=ROWS_AT_ONCE,
            input_columns=self.columns,
            remove_columns=HELPERS,
            features=Features(features),
            cache_file_name=str(part / f"finished-{split}.arrow"),
            load_from_cache_file=False,
            new_fingerprint=f"prepared-{split}",
            desc=f"joining {split}",
        )

    def _batch(self, *values) -> dict[str, list]:
        posts = [dict(zip(self.columns, row)) for row in zip(*values)]
        digests = [(post["image_hash"], "") for post in posts if post["image_hash"]]
        images = self.results.get(self.keys.image, digests)
        captions = self.results.get(self.keys.caption, digests) if self.keys.caption else {}
        asked = [(post["image_hash"], post[QUERY]) for post in posts if post["image_hash"] and post[QUERY]]
        objects = self.results.get(self.keys.objects, asked) if self.keys.objects else {}
        finished = [self._post(post, images, captions, objects) for post in posts]
        return {name: [row[name] for row in finished] for name in finished[0]}

    def _post(self, post, images, captions, objects) -> dict[str, Any]:
        digest, query = post["image_hash"], post[QUERY]
        image = images.get((digest, ""), {})
        reason = image.get("error") or self.faults.get(("image", digest, ""))
        if reason is not None:
            self._fault(post, "image", reason)
            digest = None
        row = {"image": post["image"] if digest else None, "image_hash": digest}
        post = without_nan(post)
        given = post.get("caption") or None
        row["caption"], row["caption_by"] = given, GIVEN if given else None
        if digest and not given and self.keys.caption:
            row["caption"] = self._answer(post, "caption", captions, (digest, ""))
            row["caption_by"] = None if row["caption"] is None else self.keys.caption
        parts = post.get("objects") or []
        if not self.crops:
            parts = self._given_boxes(post, parts, image.get("size") if digest else None)
        row["objects_by"] = GIVEN if parts else None
        if self.crops:
            return row
        scores = phrases = []
        if digest and not parts and self.keys.objects:
            found = self._answer(post, "objects", objects, (digest, query))
            parts, scores, phrases = ([part[name] for part in found or []] for name in ("box", "score", "phrase"))
            row["objects_by"] = None if found is None else self.keys.objects
        return {**row, "objects": parts, "object_scores": scores, "object_phrases": phrases}

    def _given_boxes(self, post, boxes: list, size: list[int] | None) -> list:
        """All of them, or none: of an image that is not there, or if one of them is no part of it."""
        if boxes and size is None:
            self._fault(post, "objects", "boxes on an image that is missing are left out.")
            return []
        try:
            for i, box in enumerate(boxes):
                check_box(box, size, f"object {i}")
        except ValueError as error:
            self._fault(post, "objects", str(error))
            return []
        return boxes

    def _answer(self, post, kind: str, answers: Mapping[Item, Any], item: Item) -> Any:
        if item not in answers:
            self._fault(post, kind, self.faults.get((kind, *item), "the model gave no answer."))
        return answers.get(item)

    def _fault(self, post, kind: str, reason: str) -> None:
        if (post[ROW], kind, reason) in self.reported:
            return
        self.reported.add((post[ROW], kind, reason))
        identity = None if post.get("id") is None else str(post["id"])
        self.report.append(Fault(self.split, post[ROW], identity, kind, reason, kept=True))


def holds_crops(rows: Dataset) -> bool:
    """Whether the objects of some post are images of their own, as MNRE's published ones."""
    feature = rows.features.get("objects")
    if not (isinstance(feature, List) and isinstance(feature.feature, Image)):
        return False
    return any(parts for batch in rows.select_columns(["objects"]).iter(ROWS_AT_ONCE) for parts in batch["objects"])

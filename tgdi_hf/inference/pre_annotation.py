"""Predictions as pre-annotations for Label Studio, which annotators correct and `import_annotations` reads again."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from ..processing.invalid_post import InvalidPost
from ..processing.post_keys import is_missing
from ..processing.post_text import PostText

LOCAL_FILES = "/data/local-files/?d="  # the path of local storage in Label Studio
BATCHES_PER_CALL = 4


@dataclass
class _Post:
    """One post with all its entities: one row with `entities`, or the rows of its pairs."""

    id: Any
    text: str
    given: Mapping[str, Any]
    key: tuple[Any, ...] | None  # of rows that can be joined
    types: dict[tuple[int, int], str | None] = field(default_factory=dict)

    def for_pipeline(self) -> dict[str, Any]:
        entities = [
            {"start": start, "end": end, "text": self.text[start:end], **({"type": kind} if kind else {})}
            for (start, end), kind in sorted(self.types.items())
        ]
        kept = {name: self.given.get(name) for name in ("image", "objects", "caption", "where")}
        return {**kept, "text": self.text, "entities": entities}


class PreAnnotator:
    r"""
    Turns posts into tasks of Label Studio with the predictions of a model.

    Args:
        pipe: A `MultimodalRelationExtractionPipeline`.
        model_version: Names the model in Label Studio.
        negative: The label for no relation, see `TGDIConfig.find_negative`.
        min_score: Leave out relations with a lower probability.
        image_root: The folder at which the image paths of tasks start.
        image_prefix: Put before these paths; by default that of local storage.
        ambiguous: What to do with a head or tail that is given by name and occurs more than once, see `PostText`.
        batch_size: Posts per batch.
        on_error: Called with the message of each post that cannot be used; by default it raises.
        options: Call arguments of the pipeline.

    Attributes:
        tasks, relations: Number of tasks and predicted relations so far.
        images_left_out: Number of tasks without the image of their post, because it is not a file.
        types: Entity types seen so far.
    """

    def __init__(
        self,
        pipe: Any,
        model_version: str,
        *,
        negative: str | None = "auto",
        min_score: float = 0.0,
        image_root: str | Path = ".",
        image_prefix: str = LOCAL_FILES,
        ambiguous: str = "error",
        batch_size: int = 16,
        on_error: Callable[[str], Any] | None = None,
        **options: Any,
    ):
        self.pipe, self.model_version, self.min_score = pipe, model_version, min_score
        self.image_root, self.image_prefix, self.ambiguous = Path(image_root), image_prefix, ambiguous
        self.batch_size, self.on_error = batch_size, on_error
        self.negative = pipe.model.config.find_negative(negative)
        self.options = {**options, "negative_label": negative}
        self.symmetric = {name for name, is_symmetric in zip(pipe.names, pipe.symmetric) if is_symmetric}
        self.tasks = self.relations = self.images_left_out = 0
        self.types: dict[str, None] = {}

    def __call__(self, posts: Iterable[Mapping[str, Any] | InvalidPost]) -> Iterator[dict[str, Any]]:
        r"""
        Labels posts.

        Args:
            posts: Posts in the pipeline's input format, with `entities`, or with head and tail. Consecutive rows with
                the same `post_id`, text and image are one post. `head_type` and `tail_type` are the types of head and
                tail.

        Yields:
            Tasks, in the order of the posts. A post with fewer than two entities has no relations.
        """
        joined = self._joined(posts)
        while part := list(islice(joined, BATCHES_PER_CALL * self.batch_size)):
            pairs = [post for post in part if len(post.types) > 1]
            found = self.pipe(
                [post.for_pipeline() for post in pairs],
                strict=self.on_error is None, batch_size=self.batch_size, **self.options,
            )  # fmt: skip
            results = {id(post): result for post, result in zip(pairs, found)}
            for post in part:
                result = results.get(id(post), {"pairs": []})
                if "error" in result:
                    self._refuse(result["error"])
                else:
                    yield self._task(post, result["pairs"])

    def _refuse(self, message: str) -> None:
        if self.on_error is None:
            raise InvalidPost(message)
        self.on_error(message)

    def _joined(self, posts: Iterable[Mapping[str, Any] | InvalidPost]) -> Iterator[_Post]:
        """Posts with their entities; the rows of one post are joined."""
        current: _Post | None = None
        for number, post in enumerate(posts):
            try:
                if isinstance(post, InvalidPost):
                    raise post
                found = self._read(post, number)
            except InvalidPost as error:
                self._refuse(str(error))
                continue
            if current is not None and found.key is not None and current.key == found.key:
                for span, kind in found.types.items():
                    current.types[span] = current.types.get(span) or kind
                continue
            if current is not None:
                yield current
            current = found
        if current is not None:
            yield current

    def _read(self, post: Mapping[str, Any], number: int) -> _Post:
        where = f"post {number}" if is_missing(post.get("where")) else str(post["where"])
        text = PostText(post, where, self.ambiguous)
        values: Sequence[Any]
        if is_missing(post.get("entities")):
            values = [(name, post.get(name), post.get(f"{name}_type")) for name in ("head", "tail")]
            key: tuple[Any, ...] | None = (post.get("post_id"), text.text, _identity_of(post.get("image")))
        else:
            entities = post["entities"]
            if not isinstance(entities, list | tuple):
                raise InvalidPost(f"{where}: `entities` is {entities!r:.80}; expected a list.", "entities")
            values, key = [(f"entity {i}", value, None) for i, value in enumerate(entities)], None
        id = next((post[name] for name in ("post_id", "id") if not is_missing(post.get(name))), None)
        found = _Post(id, text.text, {**post, "where": where}, key)
        for name, value, kind in values:
            for entity in text.entities(value, name, every=self.ambiguous == "all"):
                kind = None if is_missing(kind) else str(kind)
                found.types[entity.span] = entity.type or kind or found.types.get(entity.span)
        return found

    def _task(self, post: _Post, pairs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        regions, ids = [], {}
        for (start, end), kind in sorted(post.types.items()):
            ids[start, end] = f"{start}-{end}"
            if kind:
                self.types[kind] = None
            value = {"start": start, "end": end, "text": post.text[start:end], "labels": [kind] if kind else []}
            regions.append(
                {"id": ids[start, end], "from_name": "label", "to_name": "text", "type": "labels", "value": value}
            )
        relations = []
        for pair in pairs:
            labels = [
                one
                for one in pair["relations"]
                if one["relation"] not in (None, self.negative) and one["score"] >= self.min_score
            ]
            if not labels:
                continue
            head, tail = (ids[pair[end]["start"], pair[end]["end"]] for end in ("head", "tail"))
            names = [one["relation"] for one in labels]
            # Label Studio keeps one relation per pair of regions, which may have several labels.
            direction = "bi" if self.symmetric.issuperset(names) else "right"
            relations.append(
                {"type": "relation", "from_id": head, "to_id": tail, "direction": direction, "labels": names,
                 "score": max(one["score"] for one in labels)}
            )  # fmt: skip
        self.tasks += 1
        self.relations += len(relations)
        prediction: dict[str, Any] = {"model_version": self.model_version, "result": regions + relations}
        scores = [pair["score"] for pair in pairs if pair["score"] is not None]
        if scores:  # Label Studio sorts by it: the pair of which the model is least certain
            prediction["score"] = min(scores)
        data = {"text": post.text, "post_id": self.tasks if post.id is None else post.id}
        if (image := self._image(post)) is not None:
            data["image"] = image
        return {"id": self.tasks, "data": data, "predictions": [prediction]}

    def _image(self, post: _Post) -> str | None:
        image = post.given.get("image")
        if isinstance(image, Mapping):  # of `datasets`
            image = image.get("path") or image.get("bytes")
        if is_missing(image):
            return None
        if not isinstance(image, str | os.PathLike):  # the bytes of an image, or an image in memory
            self.images_left_out += 1
            return None
        path = Path(image)
        with suppress(ValueError):
            path = path.resolve().relative_to(self.image_root.resolve())
        return self.image_prefix + path.as_posix()


def _identity_of(image: Any) -> Any:
    """What tells whether the images of two rows are the same: path or bytes, otherwise the object."""
    if isinstance(image, Mapping):
        image = image.get("path") or image.get("bytes")
    return image if image is None or isinstance(image, str | bytes | os.PathLike) else id(image)


def write_tasks(tasks: Iterable[Mapping[str, Any]], output: str | Path) -> int:
    """Writes tasks as one JSON array, which Label Studio imports, and returns their number. The file appears when it
    is complete."""
    output, count = Path(output), 0
    part = output.with_name(output.name + ".part")
    output.parent.mkdir(parents=True, exist_ok=True)
    try:
        with part.open("w", encoding="utf-8", errors="backslashreplace") as file:
            file.write("[")
            for task in tasks:
                file.write((",\n" if count else "\n") + json.dumps(task, ensure_ascii=False))
                count += 1
            file.write("\n]\n")
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)
    return count


def labelling_configuration(relations: Iterable[str], types: Iterable[str], with_image: bool = True) -> str:
    """The labelling configuration of a project in Label Studio for these relations and entity types."""

    def tags(name: str, values: Iterable[str]) -> str:
        return "".join(f"    <{name} value={quoteattr(value)}/>\n" for value in values)

    image = '  <Image name="image" value="$image"/>\n' if with_image else ""
    return (
        '<View>\n  <Relations choice="multiple">\n' + tags("Relation", relations) + "  </Relations>\n"
        '  <Labels name="label" toName="text">\n' + tags("Label", types) + "  </Labels>\n"
        '  <Text name="text" value="$text"/>\n' + image + "</View>\n"
    )

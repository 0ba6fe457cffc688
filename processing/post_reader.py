"""From posts as people give them to the tensors of their rows."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, combinations
from typing import Any

import torch

from .head_and_tail import MAX_ENTITIES, head_tail_pairs
from .image_opening import open_image
from .image_sources import image_key
from .invalid_post import InvalidPost, blaming
from .pillow import Image
from .post_containers import as_mapping_hint
from .post_keys import checked_post, is_missing, meant_keys, without_nan
from .post_text import Entity, PostText
from .query_phrases import queries_for


@dataclass
class Post:
    r"""
    A post that has been read.

    Args:
        given: As it came.
        where: Its name in messages.
        text: What spans of characters count.
        units: What the processor takes: the words where there are words, else the text.
        entities: All heads and tails, or the entities of which all pairs are scored, in the order of the text.
        pairs: Head and tail of each row: as given, or of every two entities in the order of the text, then the other
            way round.
        all_pairs: Whether the post has a list of entities.
        listed: Whether its result is a list of pairs: it has entities, or all places of head and tail are wanted.
        rows: Where its rows are in the batch; `None` where it can't be used.
        error: Why it can't.
        added: Caption and objects that models have made.
        truncated: What was too long for the model, in any of its rows, and was cut: `"text"`, `"caption"`.
    """

    given: Mapping[str, Any]
    where: str
    text: str = ""
    units: str | list[str] = ""
    entities: list[Entity] = field(default_factory=list)
    pairs: list[tuple[Entity, Entity]] = field(default_factory=list)
    all_pairs: bool = False
    listed: bool = False
    rows: slice | None = None
    error: InvalidPost | None = None
    added: dict[str, Any] = field(default_factory=dict)
    truncated: list[str] = field(default_factory=list)


class PostReader:
    r"""
    Checks posts, finds their entities, has captions and objects made where that is wanted, and runs the processor: all
    that comes before the model, and needs no model.

    Args:
        processor (`TGDIProcessor`): The model's.
        captioner, grounder (*optional*): See `MultimodalRelationExtractionPipeline`.
        max_entities: The most entities of a post, all places at which they are wanted included.
        max_length: The longest text with caption, in tokens; by default the processor's.
    """

    expected_keys = staticmethod(meant_keys)  # for what has no other way to this module: the handler of an endpoint

    def __init__(
        self,
        processor,
        captioner: Callable | None = None,
        grounder: Callable | None = None,
        max_entities: int = MAX_ENTITIES,
        max_length: int | None = None,
    ):
        self.processor, self.captioner, self.grounder = processor, captioner, grounder
        self.max_entities = max_entities
        self.options = {} if max_length is None else {"max_length": max_length}

    def __call__(
        self, posts: Iterable[tuple[int, Any]], strict: bool = True, ambiguous: str = "error", truncation: bool = True
    ) -> dict[str, Any]:
        r"""
        Args:
            posts: One batch: numbers, for messages, and posts as the pipeline takes them.
            strict: Whether a post that can't be used is an error; otherwise it has one.
            ambiguous: See `PostText`.
            truncation: Whether a text that is too long is cut around its entities; otherwise its post can't be used.

        Returns:
            `posts`: a `Post` each; `inputs`: the tensors of the rows of all that can be used, distinct images once,
            or `None` if there are none.

        Raises:
            InvalidPost: With `strict`.
        """
        find = partial(_find_entities, ambiguous=ambiguous, most=self.max_entities)
        posts = [_read(number, post, strict, find) for number, post in posts]
        if self.captioner or self.grounder:
            opened: dict[Any, Image.Image] = {}
            for post in posts:
                _catching(post, strict, partial(self._open, opened=opened))
            self._add_captions(posts)
            self._add_objects(posts)
        pixels = None if strict else {}  # each image is decoded once, however often its batch is tried
        try:
            inputs = self._encode(posts, pixels, truncation)
        except InvalidPost:
            if strict:
                raise
            for post in posts:  # which of them was it?
                _catching(post, strict, lambda post: self._encode([post], pixels, truncation))
            inputs = self._encode(posts, pixels, truncation)
        return {"posts": posts, "inputs": inputs}

    def _encode(
        self, posts: list[Post], known_pixels: dict | None, truncation: bool
    ) -> Mapping[str, torch.Tensor] | None:
        columns: dict[str, list] = {name: [] for name in ("text", "head", "tail", "images", "objects", "caption")}
        names = []
        for post in posts:
            if post.error is not None:
                continue
            post.rows = slice(len(names), len(names) + len(post.pairs))
            given = {**post.given, **post.added}
            shared = (post.units, *(given.get(name) for name in ("image", "objects", "caption")))
            for head, tail in post.pairs:
                row = (shared[0], head.units, tail.units, *shared[1:])
                for column, value in zip(columns.values(), row):
                    column.append(value)
                names.append(post.where)
        if not names:
            return None
        truncated: list[list[str]] = []
        try:
            inputs = self.processor(
                **columns,
                row_names=names,
                share_images=True,
                known_pixels=known_pixels,
                truncated=truncated,
                truncation=truncation,
                return_tensors="pt",
                **self.options,
            )
        except ValueError as error:
            # Loaded from a folder as remote code, processor and pipeline have a copy of this package's classes each.
            if type(error).__name__ == InvalidPost.__name__ and not isinstance(error, InvalidPost):
                raise InvalidPost(str(error), error.field) from error
            raise
        for post in posts:
            if post.error is None:
                cut = {part for parts in truncated[post.rows] for part in parts}
                post.truncated = [part for part in ("text", "caption") if part in cut]
        return inputs

    def _open(self, post: Post, opened: dict[Any, Image.Image]) -> None:
        """Posts with the same image get the same object, by which the processor knows it again."""
        if post.given.get("image") is not None:
            with blaming("image"):
                where = f"{post.where}, image"
                key = image_key(post.given["image"], where)
                if key not in opened:
                    opened[key] = open_image(post.given["image"], where, self.processor.max_image_pixels)
            post.given = {**post.given, "image": opened[key]}

    def _add_captions(self, posts: list[Post]) -> None:
        lacking = _lacking(posts, "caption") if self.captioner and self.processor.use_caption else []
        if lacking:
            images = {id(post.given["image"]): post.given["image"] for post in lacking}
            captions = dict(zip(images, self.captioner([*images.values()])))
            for post in lacking:
                post.added["caption"] = captions[id(post.given["image"])]

    def _add_objects(self, posts: list[Post]) -> None:
        lacking = _lacking(posts, "objects") if self.grounder and self.processor.num_objects else []
        if lacking:
            queries = [queries_for(post.text, [entity.span for entity in post.entities]) for post in lacking]
            for post, objects in zip(lacking, self.grounder([post.given["image"] for post in lacking], queries)):
                post.added["objects"] = [one["box"] for one in objects]


def _read(number: int, given: Any, strict: bool, find: Callable[[Post], Any]) -> Post:
    where = f"post {number}"
    if isinstance(given, Mapping):
        post = Post(given, where if is_missing(given.get("where")) else str(given["where"]))
        _catching(post, strict, _check_keys)
        _catching(post, strict, find)
        return post
    if not isinstance(given, InvalidPost):  # such comes from a reader of files that could not make a post of a row
        if hint := as_mapping_hint(given):
            given = InvalidPost(f"{where} is a {type(given).__name__}; expected {hint}.")
        else:
            given = InvalidPost(f"{where} is {given!r:.80}; expected a mapping with text, head and tail.")
    if strict:
        raise given
    return Post({"id": given.id}, where, error=given)


def _check_keys(post: Post) -> None:
    given, post.given = post.given, without_nan(post.given)  # a post that is refused answers with its id
    post.given = checked_post(given, post.where)


def _catching(post: Post, strict: bool, step: Callable[[Post], Any]) -> None:
    if post.error is None:
        try:
            step(post)
        except InvalidPost as error:
            if strict:
                raise
            post.error = error


def _find_entities(post: Post, ambiguous: str, most: int) -> None:
    text = PostText(post.given, post.where, ambiguous)
    post.text, post.units = text.text, text.units
    entities, pair = post.given.get("entities"), [post.given.get(name) for name in ("head", "tail")]
    if entities is None:
        post.pairs, post.listed = head_tail_pairs(text, *pair, most), ambiguous == "all"
        post.entities = _distinct(entity for one in post.pairs for entity in one)
        return
    if pair != [None, None]:
        raise InvalidPost(f"{post.where} has `entities` and head or tail; expected the one or the other.", "entities")
    if isinstance(entities, str | bytes | Mapping) or not isinstance(entities, Iterable):
        raise InvalidPost(f"{post.where}: `entities` is {entities!r:.80}; expected a list of entities.", "entities")
    found = [text.entities(value, f"entities[{i}]", "entities") for i, value in enumerate(entities)]
    post.entities, post.all_pairs, post.listed = _distinct(chain.from_iterable(found)), True, True
    if not 2 <= len(post.entities) <= most:
        raise InvalidPost(
            f"{post.where}: `entities` has {len(post.entities)} different entities; expected 2 to {most}.", "entities"
        )
    post.pairs = [pair for two in combinations(post.entities, 2) for pair in (two, two[::-1])]


def _distinct(entities: Iterable[Entity]) -> list[Entity]:
    """In the order of the text; the same span twice is one entity, the first."""
    distinct: dict[tuple[int, int], Entity] = {}
    for entity in entities:
        distinct.setdefault(entity.span, entity)
    return [distinct[span] for span in sorted(distinct)]


def _lacking(posts: list[Post], name: str) -> list[Post]:
    return [p for p in posts if p.error is None and p.given.get("image") is not None and p.given.get(name) is None]

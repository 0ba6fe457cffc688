"""Reading a batch of posts: from posts as users pass them to model inputs."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import chain, combinations
from typing import Any

import torch

from .head_and_tail import MAX_ENTITIES, EntityPair, head_tail_pairs
from .image_opening import open_image
from .image_sources import image_key
from .invalid_post import InvalidPost, blaming
from .like_lengths import token_counts
from .pillow import Image
from .post_batch import Post, PostBatch
from .post_containers import as_mapping_hint
from .post_keys import checked_post, is_missing, meant_keys, without_nan
from .post_text import Entity, PostText
from .query_phrases import queries_for


class PostReader:
    r"""
    Checks posts, locates their entities, adds missing captions and objects, and runs the processor: the steps of a
    prediction that do not need the model.

    Args:
        processor (`TGDIProcessor`): The model's processor.
        captioner, grounder (*optional*): See `MultimodalRelationExtractionPipeline`.
        max_entities: The largest number of entities per post, counting all their scored occurrences.
        max_length: The longest text with its caption, in tokens; by default that of the processor.
    """

    # The handler of an endpoint is deployed without this package and reaches `meant_keys` only through its pipeline.
    expected_keys = staticmethod(meant_keys)

    def __init__(
        self,
        processor: Any,
        captioner: Callable | None = None,
        grounder: Callable | None = None,
        max_entities: int = MAX_ENTITIES,
        max_length: int | None = None,
    ):
        self.processor, self.captioner, self.grounder = processor, captioner, grounder
        self.max_entities = max_entities
        self.options: dict[str, Any] = {} if max_length is None else {"max_length": max_length}

    def __call__(
        self, posts: Iterable[tuple[int, Any]], strict: bool = True, ambiguous: str = "error", truncation: bool = True
    ) -> PostBatch:
        r"""
        Args:
            posts: Pairs of the post's number, for messages, and the post, see `MultimodalRelationExtractionPipeline`.
            strict: Raise the error of an invalid post instead of recording it in the post.
            ambiguous: See `PostText`.
            truncation: Cut a text that is too long around its entities; otherwise its post is invalid.

        Raises:
            InvalidPost: With `strict`, a post is invalid.
        """
        return self.encode(self.parse(posts, strict, ambiguous), strict, truncation)

    def parse(self, posts: Iterable[tuple[int, Any]], strict: bool = True, ambiguous: str = "error") -> list[Post]:
        """Checks posts and locates their entities, without opening images or tokenizing; see `__call__`."""
        find = partial(_find_entities, ambiguous=ambiguous, most=self.max_entities)
        return [_read(number, post, strict, find) for number, post in posts]

    def lengths(self, posts: Iterable[Post]) -> list[int]:
        """The tokens of each post's text in both passes of the text encoder; 0 for an invalid post."""
        valid = [post if post.error is None else None for post in posts]
        texts = ["" if post is None else post.text for post in valid]
        captions = ["" if post is None else _caption(post) for post in valid]
        return token_counts(self.processor, texts, captions, self.options.get("max_length"))

    def encode(self, batch: list[Post], strict: bool = True, truncation: bool = True) -> PostBatch:
        """Adds captions and objects to posts from `parse`, and runs the processor; see `__call__`."""
        if self.captioner or self.grounder:
            opened: dict[Any, Image.Image] = {}
            for post in batch:
                _catching(post, strict, partial(self._open, opened=opened))
            self._add_captions(batch)
            self._add_objects(batch)
        # Each image is decoded once, even if the batch has to be encoded again without its invalid posts.
        pixels: dict[Any, Any] | None = None if strict else {}
        try:
            inputs = self._encode(batch, pixels, truncation)
        except InvalidPost:
            if strict:
                raise
            for post in batch:  # finds the invalid ones
                _catching(post, strict, lambda post: self._encode([post], pixels, truncation))
            inputs = self._encode(batch, pixels, truncation)
        return PostBatch(batch, inputs)

    def _encode(self, posts: list[Post], known_pixels: dict | None, truncation: bool) -> dict[str, torch.Tensor] | None:
        columns: dict[str, list] = {name: [] for name in ("text", "head", "tail", "images", "objects", "caption")}
        names: list[str] = []
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
            # As remote code loaded from a folder, processor and pipeline each have their own copy of this class.
            if type(error).__name__ == InvalidPost.__name__ and not isinstance(error, InvalidPost):
                raise InvalidPost(str(error), getattr(error, "field", "post")) from error
            raise
        for post in posts:
            if post.error is None:
                assert post.rows is not None
                cut = {part for parts in truncated[post.rows] for part in parts}
                post.truncated = [part for part in ("text", "caption") if part in cut]
        return dict(inputs)

    def _open(self, post: Post, opened: dict[Any, Image.Image]) -> None:
        """Opens the image of a post; posts with equal images share one PIL image, which the processor encodes once."""
        if post.given.get("image") is not None:
            with blaming("image"):
                where = f"{post.where}, image"
                key = image_key(post.given["image"], where)
                if key not in opened:
                    opened[key] = open_image(post.given["image"], where, self.processor.max_image_pixels)
            post.given = {**post.given, "image": opened[key]}

    def _add_captions(self, posts: list[Post]) -> None:
        if not self.captioner or not self.processor.use_caption:
            return
        if lacking := _lacking(posts, "caption"):
            images = {id(post.given["image"]): post.given["image"] for post in lacking}
            captions = dict(zip(images, self.captioner([*images.values()])))
            for post in lacking:
                post.added["caption"] = captions[id(post.given["image"])]

    def _add_objects(self, posts: list[Post]) -> None:
        if not self.grounder or not self.processor.num_objects:
            return
        if lacking := _lacking(posts, "objects"):
            queries = [queries_for(post.text, [entity.span for entity in post.entities]) for post in lacking]
            for post, objects in zip(lacking, self.grounder([post.given["image"] for post in lacking], queries)):
                post.added["objects"] = [one["box"] for one in objects]


def _read(number: int, given: Any, strict: bool, find: Callable[[Post], Any]) -> Post:
    where = f"post {number}"
    if isinstance(given, Mapping):
        post = Post(given, where if is_missing(given.get("where")) else str(given["where"]), number)
        _catching(post, strict, _check_keys)
        _catching(post, strict, find)
        return post
    if not isinstance(given, InvalidPost):  # file readers yield an error in place of an invalid row
        if hint := as_mapping_hint(given):
            given = InvalidPost(f"{where} is a {type(given).__name__}; expected {hint}.")
        else:
            given = InvalidPost(f"{where} is {given!r:.80}; expected a mapping with text, head and tail.")
    if strict:
        raise given
    return Post({"id": given.id}, where, number, error=given)


def _caption(post: Post) -> str:
    caption = post.given.get("caption")
    return caption if isinstance(caption, str) else ""


def _check_keys(post: Post) -> None:
    given, post.given = post.given, without_nan(post.given)  # so that the result of an invalid post has its id
    post.given = checked_post(given, post.where)


def _catching(post: Post, strict: bool, step: Callable[[Post], Any]) -> None:
    """Runs a step on a valid post; without `strict`, its error is recorded in the post."""
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
        post.pairs, post.listed = head_tail_pairs(text, pair[0], pair[1], most), ambiguous == "all"
        post.entities = _distinct(entity for one in post.pairs for entity in one)
        return
    if pair != [None, None]:
        raise InvalidPost(f"{post.where} has both `entities` and head or tail; expected only one of them.", "entities")
    if isinstance(entities, str | bytes | Mapping) or not isinstance(entities, Iterable):
        raise InvalidPost(f"{post.where}: `entities` is {entities!r:.80}; expected a list of entities.", "entities")
    found = [text.entities(value, f"entities[{i}]", "entities") for i, value in enumerate(entities)]
    post.entities, post.all_pairs, post.listed = _distinct(chain.from_iterable(found)), True, True
    if not 2 <= len(post.entities) <= most:
        raise InvalidPost(
            f"{post.where}: `entities` has {len(post.entities)} different entities; expected 2 to {most}.", "entities"
        )
    post.pairs = [
        pair for one, two in combinations(post.entities, 2) for pair in (EntityPair(one, two), EntityPair(two, one))
    ]


def _distinct(entities: Iterable[Entity]) -> list[Entity]:
    """Sorts entities in text order; of several with the same span, the first one is kept."""
    distinct: dict[tuple[int, int], Entity] = {}
    for entity in entities:
        distinct.setdefault(entity.span, entity)
    return [distinct[span] for span in sorted(distinct)]


def _lacking(posts: list[Post], name: str) -> list[Post]:
    """The valid posts with an image and without a value for a key."""
    return [p for p in posts if p.error is None and p.given.get("image") is not None and p.given.get(name) is None]

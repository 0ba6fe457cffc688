"""From posts to rows of head, relation and tail."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from typing import Any

from ..processing.invalid_post import InvalidPost
from ..processing.post_keys import is_missing
from .ner import with_entities


def extract_triples(
    pipe: Callable,
    posts: Iterable[Mapping[str, Any] | InvalidPost],
    ner: Callable | None = None,
    min_score: float = 0.0,
    batch_size: int = 16,
    on_error: Callable[[str], Any] | None = None,
    **options: Any,
) -> Iterator[dict[str, Any]]:
    r"""
    Extracts the relations of posts as a stream of rows, one row per relation.

    Args:
        pipe: A `MultimodalRelationExtractionPipeline`.
        posts: Posts in the pipeline's input format.
        ner: Finds the entities of posts that come without, see `with_entities`. A post with fewer than two entities
            yields no row. A post on which `ner` fails, or for which it returns more entities than the pipeline accepts,
            is unusable.
        min_score: The lowest probability of a row.
        batch_size: Posts per batch.
        on_error: Called with the error message of each unusable post, which is then skipped. By default an unusable
            post raises.
        options: Call arguments of the pipeline.

    Yields:
        The post's `id`, `head`, `relation`, `tail`, `score`, and the character offsets of head and tail in the text.

    Raises:
        InvalidPost: A post is unusable and `on_error` is not given.
    """
    if ner is not None:
        # Skipped posts must not renumber the posts after them.
        posts = with_entities(map(_numbered, count(), posts), ner, batch_size)
        posts = (post for post in posts if not isinstance(post, Mapping) or _has_entity_pair(post))
    for result in pipe(iter(posts), drop_none=True, strict=on_error is None, batch_size=batch_size, **options):
        if on_error is not None and "error" in result:
            on_error(result["error"])
            continue
        for pair in result.get("pairs", [result]):
            for relation in pair["relations"]:
                if relation["score"] >= min_score:
                    yield _row(result.get("id"), pair | relation)


def _numbered(number: int, post: Any) -> Any:
    if not isinstance(post, Mapping) or not is_missing(post.get("where")):
        return post
    return {**post, "where": f"post {number}"}


def _has_entity_pair(post: Mapping[str, Any]) -> bool:
    entities = post.get("entities")
    return not isinstance(entities, list) or len(entities) > 1


def _row(post_id: Any, result: Mapping[str, Any]) -> dict[str, Any]:
    head, tail = result["head"], result["tail"]
    row = {"id": post_id, "head": head["text"], "relation": result["relation"], "tail": tail["text"]}
    offsets = {f"{entity}_{side}": result[entity][side] for entity in ("head", "tail") for side in ("start", "end")}
    return {**row, "score": result["score"], **offsets}

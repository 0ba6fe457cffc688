"""Several annotators of one post: which annotations count, and where they disagree."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from .document import Document, Entity, Relation, Report, directed_relations

MAJORITY, FIRST = "majority", "first"
Span = tuple[int, int]


class Agreement(NamedTuple):
    r"""
    Agreement of annotators.

    Args:
        posts: Number of posts with several annotators.
        relations: Number of different relations that any of them marked.
        unanimous: Number of these that all annotators of the post marked.
    """

    posts: int = 0
    relations: int = 0
    unanimous: int = 0


def choose_annotators(
    documents: Iterable[Document],
    rule: Sequence[str],
    is_symmetric: Callable[[str], bool],
    report: Report,
) -> tuple[list[Document], Agreement]:
    r"""
    Chooses or merges the annotations of each post.

    Args:
        documents: One document per post and annotator.
        rule: `["majority"]`: entities and relations that more than half of the annotators of a post marked. A relation
            that exactly half of them marked leaves its pair undecided. `["first"]`: the oldest annotation of each post.
            Otherwise names or ids of annotators, in order of preference.
        is_symmetric: Whether a relation is symmetric, so that its direction is no disagreement.
        report: Gets disagreements, and posts without a chosen annotator.

    Returns:
        One document per post, in order, and the agreement.
    """
    posts: dict[str, list[Document]] = {}
    for document in documents:
        posts.setdefault(document.id, []).append(document)
    chosen, agreement = [], Agreement()
    for group in posts.values():
        group = _latest_by_annotator(_same_text(group, report), report)
        if len(group) > 1:
            agreement = _compare(group, rule, is_symmetric, report, agreement)
        if list(rule) == [MAJORITY]:
            chosen.append(group[0] if len(group) == 1 else _merge(group, is_symmetric))
        elif list(rule) == [FIRST]:
            is_dated = all(document.created for document in group)
            chosen.append(min(group, key=lambda document: document.created) if is_dated else group[0])
        elif (named := _by_name(group, rule)) is not None:
            chosen.append(named)
        else:
            found = ", ".join(_name(document, i) for i, document in enumerate(group))
            _add(report, group[0], "document", f"no annotation by {', '.join(rule)}; found {found}.")
    return chosen, agreement


def _same_text(group: list[Document], report: Report) -> list[Document]:
    same = [document for document in group if document.text == group[0].text]
    for document in group:
        if document.text != group[0].text:
            _add(
                report, document, "document",
                f"the id also belongs to {group[0].where}, which has another text; expected one id per post.",
            )  # fmt: skip
    return same


def _latest_by_annotator(group: list[Document], report: Report) -> list[Document]:
    latest: dict[object, Document] = {}
    for number, document in enumerate(group):
        key = number if document.annotator is None else document.annotator
        earlier = latest.get(key)
        if earlier is not None:
            if earlier.created and document.created and earlier.created > document.created:
                earlier, document = document, earlier
            _add(
                report, earlier, "annotation",
                f"{document.annotator} annotated the post again ({document.where}); the later annotation was used.",
            )  # fmt: skip
        latest[key] = document
    return list(latest.values())


def _by_name(group: list[Document], names: Sequence[str]) -> Document | None:
    for name in names:
        for document in group:
            if name in (document.annotator, *document.aliases):
                return document
    return None


def _votes(group: list[Document], is_symmetric: Callable[[str], bool]) -> dict[tuple[Span, Span, str], list[int]]:
    """The annotators, as indices, who marked each relation."""
    votes: dict[tuple[Span, Span, str], list[int]] = {}
    for i, document in enumerate(group):
        for head, tail, kind in directed_relations(document, is_symmetric):
            votes.setdefault((head.span, tail.span, kind), []).append(i)
    return votes


def _entity_votes(group: list[Document]) -> dict[Span, dict[int, str | None]]:
    """The annotators who marked each span as an entity, with the type that they chose."""
    votes: dict[Span, dict[int, str | None]] = {}
    for i, document in enumerate(group):
        for entity in document.entities:
            votes.setdefault(entity.span, {})[i] = entity.type
    return votes


def _merge(group: list[Document], is_symmetric: Callable[[str], bool]) -> Document:
    first, half = group[0], len(group) / 2
    entities = {
        span: Entity(f"{span[0]}-{span[1]}", _most_frequent(types.values()), *span)
        for span, types in sorted(_entity_votes(group).items())
        if len(types) > half
    }
    relations, undecided = [], set()
    for document in group:
        spans = {entity.id: entity.span for entity in document.entities}
        undecided |= {frozenset(spans[id] for id in pair) for pair in document.undecided}
    for (head, tail, kind), voters in _votes(group, is_symmetric).items():
        if len(voters) > half:
            relations.append(Relation(entities[head].id, entities[tail].id, kind))
        elif len(voters) == half:
            undecided.add(frozenset((head, tail)))
    pairs = (pair for pair in undecided if pair <= entities.keys())
    return Document(
        file=first.file,
        where=first.where,
        id=first.id,
        text=first.text,
        entities=tuple(entities.values()),
        relations=tuple(relations),
        image=next((document.image for document in group if document.image is not None), None),
        annotator=", ".join(_name(document, i) for i, document in enumerate(group)),
        undecided=frozenset(frozenset(entities[span].id for span in pair) for pair in pairs),
    )


def _most_frequent(types: Iterable[str | None]) -> str | None:
    """The type that most annotators chose; of several, the first."""
    counts = Counter(kind for kind in types if kind is not None)
    return counts.most_common(1)[0][0] if counts else None


def _compare(
    group: list[Document],
    rule: Sequence[str],
    is_symmetric: Callable[[str], bool],
    report: Report,
    agreement: Agreement,
) -> Agreement:
    """Reports what is not unanimous, and adds the post to the agreement."""
    first, names = group[0], [_name(document, i) for i, document in enumerate(group)]
    by_majority = list(rule) == [MAJORITY]

    def verdict(count: int) -> str:
        if not by_majority:
            return "the annotation of the chosen annotator was used"
        if 2 * count == len(group):
            return "left out, and the pair is not used as unrelated" if is_relation else "left out"
        return "used" if 2 * count > len(group) else "left out"

    is_relation = False
    for span, types in sorted(_entity_votes(group).items()):
        mention = f"entity {first.text[slice(*span)]!r:.80} [{span[0]}, {span[1]})"
        if len(types) < len(group):
            who = ", ".join(names[i] for i in types)
            _add(report, first, "disagreement", f"{mention}: marked by {who} of {len(group)}; {verdict(len(types))}.")
        if len({*types.values()}) > 1:
            who = ", ".join(f"{kind} by {names[i]}" for i, kind in types.items())
            _add(report, first, "disagreement", f"{mention}: {who}; {_most_frequent(types.values())} is most frequent.")
    is_relation, votes = True, _votes(group, is_symmetric)
    for (head, tail, kind), voters in votes.items():
        if len(voters) < len(group):
            who = ", ".join(names[i] for i in voters)
            _add(
                report, first, "disagreement",
                f"relation {kind!r} from {first.text[slice(*head)]!r:.80} to {first.text[slice(*tail)]!r:.80}: marked "
                f"by {who} of {len(group)}; {verdict(len(voters))}.",
            )  # fmt: skip
    unanimous = sum(len(voters) == len(group) for voters in votes.values())
    return Agreement(agreement.posts + 1, agreement.relations + len(votes), agreement.unanimous + unanimous)


def _name(document: Document, number: int) -> str:
    return document.annotator or f"annotator {number}"


def _add(report: Report, document: Document, part: str, reason: str) -> None:
    report.add(document.file, document.where, document.id, part, reason)

"""The spaCy component `tgdi`: relations between the entities of a document, from its text and its image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ..processing.entity_markers import check_span
from ..processing.entity_types import type_of, types_of
from ..processing.grapheme_clusters import trim, whole_span
from ..processing.head_and_tail import MAX_ENTITIES
from ..processing.invalid_post import InvalidPost
from .spacy_relations import INPUTS, register_extensions

if TYPE_CHECKING:
    from spacy.tokens import Doc, Span

    from ..processing.pipeline_tgdi import MultimodalRelationExtractionPipeline

# The entity labels of OntoNotes, those of most models of spaCy, that name values: no relation has them as arguments.
VALUES = ("CARDINAL", "DATE", "MONEY", "ORDINAL", "PERCENT", "QUANTITY", "TIME")
WEIGHTS = "model"  # the folder of the weights in that of the component


@dataclass(frozen=True)
class SpacySettings:
    r"""
    The config of the component `tgdi`. All values are plain, so that `config.cfg` can hold them.

    Args:
        model: Folder of a fine-tuned model, relative to the working directory, or its name on the Hub.
        revision: Branch, tag or commit on the Hub.
        device: Name or number of a device; by default the accelerator if one is available, otherwise the CPU.
        bf16: Load the weights in bfloat16 instead of float32.
        batch_size: Documents per batch of the model; `batch_size` of `nlp.pipe` is the number that is read ahead and
            sorted by length.
        num_workers: Threads that open images.
        drop_none: Leave out pairs whose label is that for no relation.
        min_score: The lowest score of a relation.
        negative_label, pairs, threshold, truncation: Options of `MultimodalRelationExtractionPipeline`.
        entity_types: The type in the relation labels of the model for each label of an entity that the package does not
            know (`{"POLITICIAN": "per"}`). Known are the labels of OntoNotes, CoNLL and WNUT.
        ignore_labels: Labels of entities that take part in no relation; by default the values of OntoNotes, such as
            dates.
        attribute: The name of the custom attribute, `doc._.relations` by default.
        save_weights: Save the weights with the pipeline of spaCy. The model is then loaded with the first document
            rather than by `nlp.add_pipe`, because a saved pipeline may have been moved away from `model`.
    """

    model: str
    revision: str | None = None
    device: str | int | None = None
    bf16: bool = False
    batch_size: int = 16
    num_workers: int = 0
    drop_none: bool = True
    min_score: float = 0.0
    negative_label: str | None = "auto"
    pairs: str | float = "auto"
    threshold: float | None = None
    truncation: bool = True
    entity_types: Mapping[str, str] = field(default_factory=dict)
    ignore_labels: list[str] = field(default_factory=lambda: [*VALUES])
    attribute: str = "relations"
    save_weights: bool = False

    def __post_init__(self) -> None:
        self._check("model", isinstance(self.model, str) and bool(self.model.strip()),
                    "the folder of a fine-tuned model or its name on the Hub, a string: "
                    "`nlp.add_pipe('tgdi', config={'model': 'runs/mine'})`")  # fmt: skip
        self._check("pairs", _is(self.pairs, str, int, float), "'auto', 'mnre', 'independent' or a number")
        for name in ("revision", "negative_label"):
            self._check(name, _is(getattr(self, name), str, type(None)), "a string or None")
        self._check("device", _is(self.device, str, int, type(None)), "a string such as 'cuda:0', a number, or None")
        for name in ("bf16", "drop_none", "truncation", "save_weights"):
            self._check(name, _is(getattr(self, name), bool), "True or False")
        self._check("batch_size", _is(self.batch_size, int) and self.batch_size > 0, "1 or more")
        self._check("num_workers", _is(self.num_workers, int) and self.num_workers >= 0, "0 or more")
        self._check("min_score", _is(self.min_score, int, float) and 0 <= self.min_score <= 1, "a number from 0 to 1")
        is_open_share = _is(self.threshold, int, float) and 0 < (self.threshold or 0) < 1
        self._check("threshold", self.threshold is None or is_open_share, "None or a number between 0 and 1")
        is_map = isinstance(self.entity_types, Mapping)
        self._check("entity_types", is_map and all(_is(one, str) for pair in self.entity_types.items() for one in pair),
                    "a type for each label: {'POLITICIAN': 'per'}")  # fmt: skip
        is_list = _is(self.ignore_labels, list, tuple)
        self._check("ignore_labels", is_list and all(_is(label, str) for label in self.ignore_labels),
                    "a list of labels: ['DATE', 'MONEY']")  # fmt: skip
        self._check("attribute", _is(self.attribute, str) and self.attribute.isidentifier(), "a name for `doc._.NAME`")
        self._check("attribute", self.attribute not in INPUTS, f"another name than {', '.join(INPUTS)}")

    def _check(self, name: str, valid: bool, expected: str) -> None:
        if not valid:
            raise ValueError(f"Component tgdi: `{name}` is {getattr(self, name)!r:.80}; expected {expected}.")


class RelationComponent:
    r"""
    The component that `nlp.add_pipe("tgdi", config={"model": …})` creates. It fills `doc._.relations` with the
    `Relation`s between the entities in `doc.ents`, by one post per document: its text, its entities, and
    `doc._.image`, `doc._.objects` and `doc._.caption`, which may be anything that the pipeline accepts, or `None`.
    All pairs of entities are scored in both orders. A document with fewer than two entities has no relations.

    spaCy keeps the settings in `config.cfg`; `to_disk` and `to_bytes` add the weights with `save_weights` only.

    Args:
        name: The name of the component in its pipeline.
        settings: The config.

    Raises:
        ValueError: The model cannot be loaded, does not fit the settings, or a custom attribute exists with another
            meaning.
    """

    def __init__(self, name: str, settings: SpacySettings):
        self.name, self.settings = name, settings
        self._relations = register_extensions(settings.attribute)
        self._ignored = frozenset(settings.ignore_labels)
        self._pipeline: MultimodalRelationExtractionPipeline | None = None
        self._error_handler: Callable | None = None
        if not settings.save_weights:
            self._load(settings.model, settings.revision)

    @property
    def pipeline(self) -> MultimodalRelationExtractionPipeline:
        """The pipeline of the model, loaded on first access with `save_weights`."""
        if self._pipeline is None:
            self._load(self.settings.model, self.settings.revision)
        assert self._pipeline is not None
        return self._pipeline

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the model; none before it is loaded, because spaCy reads them while it loads a pipeline."""
        return () if self._pipeline is None else self._pipeline.names

    def _load(self, checkpoint: str, revision: str | None = None) -> None:
        from .checkpoint_pipeline import load_checkpoint

        settings = self.settings
        pipe = load_checkpoint(
            checkpoint, settings.bf16, settings.negative_label, revision=revision, device=settings.device
        )
        types = types_of(pipe.names)
        if wrong := {one for one in settings.entity_types.values() if type_of(one) not in types}:
            found = f"the types {', '.join(sorted(types))}" if types else "no types"
            raise ValueError(
                f"Component tgdi: `entity_types` has the type {', '.join(map(repr, sorted(wrong)))}; the relation "
                f"labels of {checkpoint} have {found}."
            )
        # Raises an error now rather than with the first document if an option does not fit the model.
        pipe.read([], drop_none=settings.drop_none, pairs=settings.pairs, threshold=settings.threshold)
        self._pipeline = pipe

    def __call__(self, doc: Doc) -> Doc:
        """Fills `doc._.relations` of one document."""
        return next(self._processed([doc], (f"doc {doc.text[:40]!r}",), self._raise))

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        r"""
        Fills `doc._.relations` of a stream of documents, in constant memory.

        Args:
            stream: The documents.
            batch_size: Documents that are read ahead and sorted by length. The model gets at most `batch_size` of the
                config at a time.

        Yields:
            The documents, in order; without those that raised an error which the error handler of the pipeline did not
            raise again.

        Raises:
            InvalidPost: A document is unusable; the message names it.
            ValueError: `batch_size` is not positive.
        """
        if not _is(batch_size, int) or batch_size < 1:
            raise ValueError(f"Component tgdi: `batch_size` of `pipe` is {batch_size!r}; expected 1 or more.")
        documents, number = iter(stream), count()
        while docs := list(islice(documents, batch_size)):
            names = [f"doc {next(number)} ({doc.text[:40]!r})" for doc in docs]
            yield from self._processed(docs, names, self._error_handler or self._raise)

    def _processed(self, docs: list[Doc], names: Iterable[str], on_error: Callable) -> Iterator[Doc]:
        """The documents with their relations; the posts of those with several entities are scored together."""
        entities = [[span for span in doc.ents if span.label_ not in self._ignored] for doc in docs]
        posts = [self._post(*one) for one in zip(docs, entities, names) if len(one[1]) > 1]
        settings = self.settings
        results = self.pipeline(
            iter(posts),
            batch_size=min(settings.batch_size, len(docs)),
            window=len(docs),
            num_workers=settings.num_workers,
            drop_none=settings.drop_none,
            pairs=settings.pairs,
            threshold=settings.threshold,
            truncation=settings.truncation,
            strict=False,
        )
        for doc, spans in zip(docs, entities):
            result = next(results) if len(spans) > 1 else {"pairs": []}
            if "error" in result:
                on_error(self.name, self, [doc], InvalidPost(result["error"], result["field"]))
                continue
            self._relations.store(doc, result, spans, settings.min_score)
            yield doc

    def _post(self, doc: Doc, entities: list[Span], where: str) -> Mapping[str, Any] | InvalidPost:
        """The post of a document. With their mentions, entities that are part of a word are accepted."""
        if len(entities) > MAX_ENTITIES:
            return InvalidPost(
                f"{where} has {len(entities)} entities; expected at most {MAX_ENTITIES}, whose pairs are all scored. "
                "Process its sentences or paragraphs as documents, `sentence.as_doc()`; or leave out labels of "
                "entities with `ignore_labels`.",
                "entities",
            )
        types, text = self.settings.entity_types, doc.text
        spans = [_whole_characters(text, one.start_char, one.end_char) for one in entities]
        return {
            "text": text,
            "entities": [
                {"start": start, "end": end, "text": text[start:end], "type": types.get(one.label_, one.label_)}
                for one, (start, end) in zip(entities, spans)
            ],
            **{name: doc._.get(name) for name in INPUTS},
            "where": where,
        }

    def set_error_handler(self, error_handler: Callable) -> None:
        """Sets the function that `pipe` calls with an unusable document; `nlp.set_error_handler` passes it on."""
        self._error_handler = error_handler

    def get_error_handler(self) -> Callable:
        """The error handler; by default one that raises the error."""
        return self._error_handler or self._raise

    @staticmethod
    def _raise(name: str, component: Any, docs: list[Doc], error: Exception) -> None:
        raise error

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        r"""
        Saves the weights and the processor with `save_weights`; otherwise nothing.

        Args:
            path: The folder of the component.
            exclude: `"model"` leaves them out.
        """
        if self.settings.save_weights and WEIGHTS not in exclude:
            self._save(Path(path, WEIGHTS))

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> RelationComponent:
        r"""
        Loads the weights and the processor with `save_weights`; otherwise nothing.

        Args:
            path: The folder of the component.
            exclude: `"model"` keeps those that the component has.

        Raises:
            ValueError: The folder has no weights.
        """
        if self.settings.save_weights and WEIGHTS not in exclude:
            folder = Path(path, WEIGHTS)
            if not folder.is_dir():
                raise ValueError(f"Component {self.name}: {folder} is missing. {self._WITHOUT_WEIGHTS}")
            self._load(str(folder))
        return self

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """Serializes what `to_disk` saves."""
        import srsly

        files: dict[str, bytes] = {}
        if self.settings.save_weights and WEIGHTS not in exclude:
            with TemporaryDirectory() as folder:
                self._save(Path(folder))
                files = {file.name: file.read_bytes() for file in sorted(Path(folder).iterdir())}
        return srsly.msgpack_dumps({WEIGHTS: files})

    def from_bytes(self, data: bytes, *, exclude: Iterable[str] = ()) -> RelationComponent:
        """Loads what `to_bytes` has serialized."""
        import srsly

        if self.settings.save_weights and WEIGHTS not in exclude:
            files = srsly.msgpack_loads(data)[WEIGHTS]
            if not files:
                raise ValueError(f"Component {self.name}: the bytes have no weights. {self._WITHOUT_WEIGHTS}")
            with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                for name, content in files.items():
                    if Path(name).name != name:
                        raise ValueError(f"Component {self.name}: {name!r} in the bytes is not a file name.")
                    Path(folder, name).write_bytes(content)
                self._load(folder)
        return self

    _WITHOUT_WEIGHTS = "It was saved without `save_weights`; load it with `save_weights` false and a `model`."

    def _save(self, folder: Path) -> None:
        pipe = self.pipeline
        pipe.model.save_pretrained(folder)
        pipe.processor.save_pretrained(folder)


def _whole_characters(text: str, start: int, end: int) -> tuple[int, int]:
    """The span of an entity, extended to whole characters: spaCy makes two tokens of an emoji and its skin tone."""
    try:
        check_span((start, end), text, "entities", "")
    except InvalidPost:
        first, last = trim(text, *whole_span(text, start, end))
        return (first, last) if first < last else (start, end)  # the pipeline reports entities that cannot be seen
    return start, end


def _is(value: Any, *kinds: type) -> bool:
    """Whether a value has one of the types; a truth value is no number."""
    return isinstance(value, kinds) and (not isinstance(value, bool) or bool in kinds)

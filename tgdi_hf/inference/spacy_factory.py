"""The factory of the spaCy component `tgdi`, which spaCy finds by the entry point of this package."""

from dataclasses import MISSING, fields
from typing import Any

from spacy.language import Language

from .spacy_component import RelationComponent, SpacySettings

# The model has no default; `None` leaves the message to `SpacySettings`.
DEFAULTS: dict[str, Any] = {
    one.name: None if one.name == "model" else one.default if one.default_factory is MISSING else one.default_factory()
    for one in fields(SpacySettings)
}


@Language.factory("tgdi", default_config=DEFAULTS, assigns=["doc._.relations"], requires=["doc.ents"])
def make_component(
    nlp: Language,
    name: str,
    # spaCy reads the names of the settings here. `SpacySettings` checks their values: spaCy would convert "16" to 16.
    model: Any,
    revision: Any,
    device: Any,
    bf16: Any,
    batch_size: Any,
    num_workers: Any,
    drop_none: Any,
    min_score: Any,
    negative_label: Any,
    pairs: Any,
    threshold: Any,
    truncation: Any,
    entity_types: Any,
    ignore_labels: Any,
    attribute: Any,
    save_weights: Any,
) -> RelationComponent:
    """Creates the component, see `SpacySettings`."""
    given = {**locals()}
    return RelationComponent(name, SpacySettings(**{one.name: given[one.name] for one in fields(SpacySettings)}))

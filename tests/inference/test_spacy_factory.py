import subprocess
import sys
from dataclasses import fields
from importlib.metadata import entry_points

import pytest
import spacy
from spacy.language import Language

from tgdi_hf.inference.spacy_component import RelationComponent, SpacySettings
from tgdi_hf.inference.spacy_factory import DEFAULTS, make_component


def test_the_factory_has_every_setting_and_its_default(checkpoint):
    assert list(DEFAULTS) == [one.name for one in fields(SpacySettings)]
    component = make_component(spacy.blank("en"), "tgdi", **(DEFAULTS | {"model": str(checkpoint)}))
    assert isinstance(component, RelationComponent)
    assert component.settings == SpacySettings(str(checkpoint))


def test_spacy_is_told_what_the_component_reads_and_writes(checkpoint):
    nlp = spacy.blank("en")
    nlp.add_pipe("tgdi", config={"model": str(checkpoint)})
    analysis = nlp.analyze_pipes()
    assert analysis["attrs"]["doc._.relations"]["assigns"] == ["tgdi"]
    assert analysis["problems"] == {"tgdi": ["doc.ents"]}
    nlp.add_pipe("entity_ruler", first=True)
    assert nlp.analyze_pipes()["problems"]["tgdi"] == []


def test_the_entry_point_leads_to_the_factory():
    (found,) = entry_points(group="spacy_factories", name="tgdi")
    assert found.load() is make_component
    assert Language.get_factory_meta("tgdi").factory == "tgdi"


@pytest.mark.slow
def test_spacy_finds_the_component_by_itself():
    """In a process that has not imported this package; an error of the component shows that it was found."""
    code = "import spacy; spacy.blank('en').add_pipe('tgdi')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ValueError: Component tgdi: `model` is None; expected the folder of a fine-tuned model" in done.stderr

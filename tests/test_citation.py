"""CITATION.cff, CHANGELOG.md and the package agree."""

import re
from pathlib import Path

import yaml

import tgdi_hf

ROOT = Path(__file__).parents[1]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def test_software_is_cited_as_it_is_released():
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    assert CITATION["version"] == tgdi_hf.__version__
    assert CITATION["license"] == re.search(r'license_expression="(.+)"', setup)[1]
    assert CITATION["repository-code"] == re.search(r'^REPOSITORY = "(.+)"', setup, re.M)[1]


def test_paper_is_cited():
    paper = CITATION["preferred-citation"]
    assert paper["title"] == "Text-Guided Dual Interaction for Multimodal Relation Extraction in Social Media"
    assert [author["family-names"] for author in paper["authors"]] == ["Zhang", "Guo"]
    assert f"https://doi.org/{paper['doi']}" in (ROOT / "setup.py").read_text(encoding="utf-8")


def test_changelog_mentions_the_version():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## \[Unreleased\]$", changelog, re.M)
    assert tgdi_hf.__version__ in changelog

"""Packaging of tgdi_hf."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent

REQUIREMENTS = [
    "transformers>=5.23",  # SubConfigSpec; layers that keep a read-only cache under activation checkpointing
    "torch>=2.7",  # torch.accelerator; what transformers 5.23 supports
    "datasets>=5.0",  # List features; no dataset scripts
    "accelerate>=1.15",  # what Trainer of transformers 5.23 was checked with
    "evaluate>=0.4.6",  # works with datasets 5
    "huggingface-hub>=2.0",  # strict configuration classes as transformers 5.23 uses them
    "safetensors>=0.8",  # the only format that weights are stored in
    "filelock>=3.20",  # claims on work that end with the process
    "numpy>=2.0",
    "pillow>=12.0",  # Image.has_transparency_data; no deprecated modes
    "pyarrow>=21.0",  # Parquet, row by row
    "jinja2>=3.1",  # the model card, by huggingface_hub
    "tokenizers>=0.23",  # special tokens in running text can be split
    "tqdm>=4.66",
    "typer>=0.20",  # the command line
]

EXTRAS = {
    "tensorboard": ["tensorboard>=2.18"],
    "peft": ["peft>=0.21"],
    "audit": ["scikit-learn>=1.6"],  # the search for leaks
    "viz": ["matplotlib>=3.9"],  # figures
    "rdf": ["rdflib>=7.0"],  # N-Triples
    "demo": ["gradio>=6.0"],  # the page of `tgdi app`
    "ray": ["ray[data]>=2.50", "polars>=1.0"],  # the example for a cluster; its join needs polars
    "spacy": ["spacy>=3.8"],  # noun phrases by a parser
    "browser": ["gradio>=6.0", "playwright>=1.50"],  # tests of the page; they need Chromium, too
    "docs": ["furo>=2025.7", "myst-parser>=5.0", "sphinx>=9.0"],
    "style": ["ruff==0.17.6"],  # another version formats otherwise
    "test": [
        "build>=1.2",
        "gradio>=6.0",
        "hypothesis>=6.100",
        "jsonschema>=4.20",
        "matplotlib>=3.9",
        "parameterized>=0.9",  # transformers' common tests
        "peft>=0.21",
        "pytest>=9.0",
        "pytest-xdist>=3.6",
        "pyyaml>=6.0",
        "rdflib>=7.0",
        "scikit-learn>=1.6",
    ],
}

setup(
    name="tgdi_hf",
    version=re.search(r'^__version__ = "(.+)"$', (ROOT / "tgdi_hf/__init__.py").read_text(encoding="utf-8"), re.M)[1],
    description="Text-Guided Dual Interaction for multimodal relation extraction in social media",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    # `modeling/` and `processing/` hold what travels with a checkpoint to the Hub and so stand apart in the
    # repository; installed, they are parts of this package and nothing generic lands in site-packages.
    packages=[*find_packages(include=["tgdi_hf", "tgdi_hf.*"]), "tgdi_hf.modeling", "tgdi_hf.processing"],
    package_data={"tgdi_hf.hub": ["model_card_template.md"]},
    package_dir={"tgdi_hf.modeling": "modeling", "tgdi_hf.processing": "processing"},
    install_requires=REQUIREMENTS,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["tgdi = tgdi_hf.cli.main:main"]},
    classifiers=[
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)

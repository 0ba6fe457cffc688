"""Packaging of tgdi_hf."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
REPOSITORY = "https://github.com/tgdi-hf/tgdi_hf"

# Lower bounds are the oldest versions that resolve together and pass the tests (CONTRIBUTING.md, "Dependencies").
REQUIREMENTS = [
    "transformers>=5.23",  # SubConfigSpec; layers that keep a read-only cache under activation checkpointing
    "torch>=2.9.1",  # torch.compile and torch.export trace the configurations of transformers 5.23 (2.7 does not)
    "datasets>=5.2",  # reads the labels in metadata.csv of imagefolders (5.1 fails on them)
    "accelerate>=1.15",  # the version that Trainer of transformers 5.23 was tested with
    "evaluate>=0.4.6",  # works with datasets 5
    "huggingface-hub>=2.0",  # strict configuration classes as transformers 5.23 uses them
    "safetensors>=0.8",  # the only format that weights are stored in
    "filelock>=3.20",  # locks that are released when their process ends
    "numpy>=2.0",
    "pillow>=12.0",  # Image.has_transparency_data; no deprecated modes
    "pyarrow>=24.0",  # Parquet, row by row; the oldest that datasets installs with
    "jinja2>=3.1.6",  # the model card; chat templates of captioners require this version
    "tokenizers>=0.23.3",  # special tokens in running text can be split
    "tqdm>=4.66.3",
    "typer>=0.26",  # the command line; earlier versions call deprecated functions of click 8.5
]

AUDIT = ["scikit-learn>=1.6"]  # the search for label leaks
DEMO = ["gradio>=6.29"]  # the oldest that installs with huggingface-hub 2; the page of `tgdi app`
ONNX = ["onnx>=1.21", "onnxruntime>=1.24", "onnxscript>=0.7"]  # as transformers' exporter is tested with
OPENVINO = ["nncf>=3.0", "openvino>=2026.0"]  # nncf quantises
PEFT = ["peft>=0.21"]
RDF = ["rdflib>=7.0"]  # N-Triples
SERVE = [
    "fastapi>=0.133",  # the oldest that installs with the starlette of gradio
    "prometheus-client>=0.22",
    "pydantic>=2.12",
    "uvicorn>=0.40",
]
TUNE = ["optuna>=5.0"]  # the hyperparameter search
VIZ = ["matplotlib>=3.10.7"]  # figures; earlier versions call deprecated functions of pyparsing 3.3

STYLE = ["ruff==0.17.6"]  # versions differ in how they format
TYPES = [*DEMO, *RDF, *SERVE, *TUNE, *VIZ, "mypy>=2.4", "types-regex", "types-tqdm"]  # with the typed optional packages
DOCS = ["furo>=2025.7", "myst-parser>=5.0", "sphinx>=9.0"]
TEST = [
    *AUDIT,
    *DEMO,
    *ONNX,
    *PEFT,
    *RDF,
    *SERVE,
    *TUNE,
    *VIZ,
    "build>=1.2",
    "httpx>=0.28",  # requests to the application of `tgdi serve`
    "hypothesis>=6.100",
    "ipykernel>=7.0",  # the notebooks in examples/
    "jsonschema>=4.20",
    "nbclient>=0.10",
    "nbformat>=5.10",
    "parameterized>=0.9",  # the common tests of transformers
    "pytest>=9.0",
    "pytest-cov>=7.0",
    "pytest-xdist>=3.6",
    "pyyaml>=6.0",
    "spacy>=3.8.18",  # the component and files of DocBin; the version that their tests ran with
]

EXTRAS = {
    "audit": AUDIT,
    "demo": DEMO,
    "onnx": ONNX,
    "openvino": OPENVINO,
    "peft": PEFT,
    "ray": ["ray[data]>=2.50", "polars>=1.0"],  # the cluster example; its join needs polars
    "rdf": RDF,
    "serve": SERVE,
    "spacy": ["spacy>=3.8"],  # the component; noun phrases from a dependency parser; files of DocBin
    "tensorboard": ["tensorboard>=2.18"],
    "tune": TUNE,
    "viz": VIZ,
    # For development. Each gate of the Makefile installs its own; `dev` is all of them.
    "browser": [*DEMO, "playwright>=1.50"],  # tests of the page; they also need Chromium
    "docs": DOCS,
    "style": STYLE,
    "test": TEST,
    "types": TYPES,
    "dev": [*STYLE, *TYPES, *TEST, *DOCS, "pre-commit>=4.0"],
}

setup(
    name="tgdi_hf",
    version=re.search(r'^__version__ = "(.+)"$', (ROOT / "tgdi_hf/__init__.py").read_text(encoding="utf-8"), re.M)[1],
    description="Text-Guided Dual Interaction for multimodal relation extraction in social media",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    project_urls={
        "Source": REPOSITORY,
        "Issues": f"{REPOSITORY}/issues",
        "Changelog": f"{REPOSITORY}/blob/main/CHANGELOG.md",
        "Paper": "https://doi.org/10.1007/978-3-032-06109-6_26",
    },
    keywords=["relation extraction", "multimodal", "social media", "transformers", "MNRE"],
    license_expression="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    # `modeling/` and `processing/` hold the files that travel with a checkpoint to the Hub, hence their place at the
    # root of the repository; in an installation they are subpackages of `tgdi_hf`.
    packages=[*find_packages(include=["tgdi_hf", "tgdi_hf.*"]), "tgdi_hf.modeling", "tgdi_hf.processing"],
    package_dir={"tgdi_hf.modeling": "modeling", "tgdi_hf.processing": "processing"},
    package_data={
        "tgdi_hf": ["py.typed"],
        "tgdi_hf.demo": ["dataset_card_template.md"],
        "tgdi_hf.hub": ["model_card_template.md"],
    },
    install_requires=REQUIREMENTS,
    extras_require=EXTRAS,
    entry_points={
        "console_scripts": ["tgdi = tgdi_hf.cli.main:main"],
        "spacy_factories": ["tgdi = tgdi_hf.inference.spacy_factory:make_component"],
    },
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: 3.14",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Text Processing :: Linguistic",
        "Typing :: Typed",
    ],
)

"""The embedded corpus as a dataset for the Hub: Parquet files and a dataset card."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from datasets import DatasetDict, SplitDict, SplitInfo
from datasets.info import DatasetInfosDict
from huggingface_hub import DatasetCard, DatasetCardData

from .. import __version__
from ..data.progress_bars import without_progress_bars
from .corpus import make_corpus
from .corpus_ceiling import text_only_ceiling
from .corpus_schema import DEFAULT_ROWS

TEMPLATE = Path(__file__).with_name("dataset_card_template.md")
CARD = "README.md"
# Tags of the Hub for the size of a dataset, by the upper bound of their range.
SIZES = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M", 10_000_000: "1M<n<10M"}


def write_dataset(folder: str | Path, rows: Mapping[str, int] | None = None, seed: int = 0) -> DatasetDict:
    r"""
    Writes the embedded corpus in the layout of a dataset on the Hub: `data/SPLIT-00000-of-00001.parquet`, images
    included, and a dataset card. `datasets.load_dataset` and `tgdi train` read the folder; equal arguments and library
    versions give equal bytes.

    Args:
        folder: A new folder, or an empty one.
        rows, seed: See `make_corpus`.

    Returns:
        The corpus.

    Raises:
        ValueError: The folder is not empty or is a file, or a number of rows is not positive.
    """
    folder = Path(folder)
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        kind = "is a file" if folder.is_file() else "is not empty"
        raise ValueError(f"{folder} {kind}; expected a new folder for the dataset. Choose another name.")
    corpus = make_corpus(rows, seed=seed)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # An interrupted run leaves no folder that looks complete.
    with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        written = Path(scratch, "dataset")
        (written / "data").mkdir(parents=True)
        with without_progress_bars():
            for split, posts in corpus.items():
                posts.to_parquet(written / "data" / f"{split}-00000-of-00001.parquet")
        dataset_card(corpus, written / "data", seed).save(written / CARD)
        written.replace(folder)
    return corpus


def dataset_card(corpus: DatasetDict, data: Path, seed: int) -> DatasetCard:
    r"""
    Renders the dataset card: how the corpus was made, its columns, splits, sizes and limits.

    Args:
        corpus: The corpus.
        data: The folder with its Parquet files.
        seed: Its seed.
    """
    total = sum(len(posts) for posts in corpus.values())
    metadata = DatasetCardData(
        pretty_name="Embedded corpus of tgdi_hf",
        language=["en"],
        license="apache-2.0",
        task_categories=["text-classification"],
        task_ids=["multi-class-classification"],
        tags=["relation-extraction", "multimodal", "synthetic"],
        size_categories=[next(name for limit, name in SIZES.items() if total < limit)],
        configs=[
            {
                "config_name": "default",
                "data_files": [{"split": split, "path": f"data/{split}-*"} for split in corpus],
            }
        ],
    )
    info = next(iter(corpus.values())).info.copy()
    # `load_dataset` compares the rows that it reads with these numbers.
    info.splits = SplitDict(
        {split: SplitInfo(str(split), posts.data.nbytes, len(posts)) for split, posts in corpus.items()}
    )
    info.dataset_size = sum(one.num_bytes for one in info.splits.values())
    info.download_size = sum(file.stat().st_size for file in data.iterdir())
    DatasetInfosDict({"default": info}).to_dataset_card_data(metadata)
    names = next(iter(corpus.values())).features["label"].names
    splits = [
        {
            "name": split,
            "rows": len(posts),
            "images": sum(one is not None for one in posts["relevance"]),
            "needs_image": sum(posts["needs_image"]),
            "none": sum(names[label] == "None" for label in posts["label"]),
            "kib": round(sum(file.stat().st_size for file in data.glob(f"{split}-*")) / 1024),
            "ceiling": text_only_ceiling(posts),
        }
        for split, posts in corpus.items()
    ]
    return DatasetCard.from_template(
        metadata,
        template_path=str(TEMPLATE),
        splits=splits,
        labels=names,
        example=corpus[next(iter(corpus))][0]["text"],
        command=command(corpus, seed),
        version=__version__,
    )


def command(corpus: DatasetDict, seed: int) -> str:
    """The command that writes the same dataset."""
    sizes = {split: len(posts) for split, posts in corpus.items()}
    arguments = ["tgdi", "demo", "--dataset", "OUT"]
    if sizes != DEFAULT_ROWS:
        arguments += ["--rows", *map(str, sizes.values())]
    if seed:
        arguments += ["--seed", str(seed)]
    return shlex.join(arguments)

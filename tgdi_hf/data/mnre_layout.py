"""Finds the files of an MNRE corpus: MNRE-2, MNRE-1, or a corpus in the same line format with relations of its own."""

from pathlib import Path
from typing import NamedTuple

from .mnre_files import CorpusError
from .mnre_schema import RELATIONS, SPLITS


class Layout(NamedTuple):
    r"""
    Where a corpus keeps its posts.

    Args:
        pattern: The file of a split, with `{}` for the name of the split.
        relations: The relations of a folder without a `*rel2id.json`; `None` if they are those of the training rows.
    """

    pattern: str
    relations: tuple[str, ...] | None

    @property
    def text_folder(self) -> str:
        return self.pattern.partition("/")[0]


LAYOUTS = (
    Layout("txt/ours_{}.txt", RELATIONS),  # MNRE-2 as HVPNeT, MKGformer and TMR distribute it
    Layout("mnre_txt/mnre_{}.txt", RELATIONS),  # MNRE-2 as in its own repository
    Layout("mnre_txt/mnre_org_{}.txt", None),  # MNRE-1 as in its own repository
    Layout("txt/{}.txt", None),
)
IMAGE_FOLDERS = ("img_org", "mnre_image/img_org", "mnre_image")


def has_text_folder(folder: Path) -> bool:
    """Whether a folder looks like an MNRE corpus, complete or not."""
    return any((folder / layout.text_folder).is_dir() for layout in LAYOUTS)


def find_layout(folder: Path) -> Layout | None:
    r"""
    Finds the layout of the posts in `folder`; `None` if it has none.

    Raises:
        CorpusError: The folder has the posts of more than one corpus.
    """
    found = {layout: splits for layout in LAYOUTS if (splits := present_splits(folder, layout))}
    if len(found) > 1:
        files = [str(text_file(folder, layout, splits[0]).relative_to(folder)) for layout, splits in found.items()]
        raise CorpusError(
            folder,
            None,
            f"has the posts of {len(found)} corpora, {' and '.join(files)}; expected one. Move them to folders of "
            "their own.",
        )
    return next(iter(found), None)


def present_splits(folder: Path, layout: Layout) -> list[str]:
    """The splits whose file exists, in the order of `SPLITS`."""
    return [split for split in SPLITS if text_file(folder, layout, split).is_file()]


def text_file(folder: Path, layout: Layout, split: str) -> Path:
    """The file with the posts of a split, whether or not it exists."""
    name = SPLITS[split][0]
    file = folder / layout.pattern.format(name)
    with_space = folder / layout.pattern.format(f"{name} ")  # as MNRE's repository spells that of `val`
    return with_space if with_space.is_file() and not file.is_file() else file


def crops_file(folder: Path, layout: Layout, split: str) -> Path:
    """The file that lists the published object crops of a split, whether or not it exists."""
    return folder / layout.text_folder / f"mre_{SPLITS[split][1]}_dict.pth"


def image_folder(folder: Path, split: str) -> Path:
    """The folder with the images of a split: one per split, or one for all."""
    roots = [folder / root for root in IMAGE_FOLDERS]
    of_split = [root / SPLITS[split][0] for root in roots]
    return next((place for place in of_split + roots if _has_files(place)), of_split[0])


def _has_files(folder: Path) -> bool:
    return folder.is_dir() and any(entry.is_file() for entry in folder.iterdir())


def likely_corpora(folder: Path) -> list[Path]:
    """Folders with posts around one that has none: its parent, and up to two levels below it."""
    around = [folder.parent, *folder.glob("*/"), *folder.glob("*/*/")]
    return sorted({place for place in around if any(present_splits(place, layout) for layout in LAYOUTS)})


def relations_file(folder: Path, layout: Layout) -> Path | None:
    r"""
    The JSON file that lists the relations of a corpus with their ids, beside the folder of posts or in it.

    Raises:
        CorpusError: There are several.
    """
    files = [file for place in (folder, folder / layout.text_folder) for file in sorted(place.glob("*rel2id.json"))]
    if len(files) > 1:
        names = ", ".join(str(file.relative_to(folder)) for file in files)
        raise CorpusError(folder, None, f"lists its relations in {len(files)} files, {names}; expected one of them.")
    return files[0] if files else None

"""From posts with images to the input of a model: captions and objects, computed once for every distinct image."""

import json
import logging
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import PIL
import torch
from accelerate import PartialState
from datasets import Dataset, DatasetDict, are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from ..file_locks import sole_writer
from ..processing.image_opening import MAX_IMAGE_PIXELS
from ..processing.post_text import check_ambiguous
from .join import Join, holds_crops
from .result_cache import ResultCache, default_cache
from .scan import Fault, Keys, Scan, kind_of_objects
from .work import Work

logger = logging.getLogger(__name__)

WORTH_A_BAR = 1000  # rows with images that are saved; fewer take no time


@dataclass
class Preparation:
    r"""
    What `prepare` did.

    Args:
        dataset: The posts with `caption`, `objects` and what they come from.
        faults: Posts that could not be used as they are.
        rows: How many posts there were.
        images: How many distinct images.
        captioned, grounded: How many results were computed, not found in the cache; `None` without a captioner or a
            grounder.
    """

    dataset: DatasetDict
    faults: list[Fault]
    rows: int
    images: int
    captioned: int | None
    grounded: int | None

    def summary(self) -> str:
        """For people."""
        lines = [
            f"{self.rows:,} posts, {self.images:,} distinct images; {self._computed()}.",
            *(f"  {split}: {len(rows):,} posts" for split, rows in self.dataset.items()),
        ]
        for (kind, kept), number in sorted(Counter((fault.kind, fault.kept) for fault in self.faults).items()):
            first = next(fault for fault in self.faults if (fault.kind, fault.kept) == (kind, kept))
            fate = "without it" if kept else "left out"
            lines.append(f"  {number:,} with a fault of {kind}, {fate}; the first: {first.reason}")
        return "\n".join(lines)

    def _computed(self) -> str:
        results = (("captions", self.captioned), ("object detections", self.grounded))
        asked = [f"{number:,} {name}" for name, number in results if number is not None]
        if not asked:
            return "no captions or objects were asked for"
        return f"{' and '.join(asked)} computed, all others given or cached"


def prepare(
    dataset: Mapping[str, Dataset],
    output: str | Path,
    captioner: Callable | None = None,
    grounder: Callable | None = None,
    *,
    cache: str | Path | None = None,
    image_folder: str | Path | None = None,
    image_root: str | Path | None = None,
    nlp: Callable | None = None,
    batch_size: int = 8,
    num_workers: int = 2,
    max_image_pixels: int = MAX_IMAGE_PIXELS,
    embed_images: bool = False,
    ambiguous: str = "error",
    progress: bool = True,
) -> Preparation:
    r"""
    Adds captions and objects to posts.

    Every distinct image, by the content of its file, is captioned once, and looked through once for every set of
    phrases, whatever runs ask for it: results are kept in `cache` under the image, the model's weights and its
    settings. A run that was killed goes on where it was. Processes that `accelerate launch` starts share the work, and
    so do commands that are started side by side with one cache.

    A post that can't be used is reported, and the others go through. Relations are never read: `READ` names the columns
    that are.

    Args:
        dataset: Splits with `text` or `words`; `head` and `tail`, as spans or by what they are called in the text; and
            optionally `image` (a path, bytes, or as `datasets` has images), `id`, and `caption` and `objects`, which
            are kept where they are. Other columns are carried along. Spans of posts that have `text` and `words` count
            words in the output, and their `text` is left out.
        output: A new folder: `dataset/` for `datasets.load_from_disk`, `parquet/`, `report.jsonl` with a line a fault,
            and `prepared.json` with the settings.
        captioner: An `ImageCaptioner`, or anything that takes images and has `settings`; no captions by default.
        grounder: An `ObjectGrounder`, or anything that takes images and phrases and has `settings`; no objects by
            default.
        cache: Folder of a `ResultCache`; `default_cache()` by default.
        image_folder: Where relative paths of images start; the working directory by default.
        image_root: Refuse images outside this folder, wherever a path or a link leads.
        nlp: A spaCy pipeline for noun phrases, see `noun_phrases`.
        batch_size: Images a run of a model.
        num_workers: Threads that open images.
        max_image_pixels: An image of more pixels is refused before it is decoded.
        embed_images: Put the images into the output, once for every post that has them, so that it can be moved to
            another machine. Otherwise it has their paths, which `push_to_hub` follows.
        ambiguous: What to do about an entity that is given by what it is called, and is in the text more than once:
            `"error"` reports the post; `"first"` takes the first place; `"all"` makes a row for every place of the head
            with every place of the tail, in the order of the text, all with the post's `id` and other columns.
        progress: Show a bar.

    Returns:
        `Preparation`.

    Raises:
        FileExistsError: There is something in `output`, or another run is making it.
        ValueError: `ambiguous` is none of these; the data have no column that is needed, or no post that can be used.
    """
    check_ambiguous(ambiguous)
    output, state = Path(output), process_state()
    if output.exists() and any(output.iterdir()):
        raise FileExistsError(f"{output} is not empty; expected a folder to be made.")
    crops = [split for split, rows in dataset.items() if holds_crops(rows) or kind_of_objects(rows) == "paths"]
    if grounder is not None and crops:
        raise ValueError(
            f"The split {crops[0]!r} has objects that are images of their own, which can't be mixed with boxes. "
            "Leave out the grounder, or the column `objects`."
        )
    part = output.with_name(output.name + ".part")
    with (
        sole_writer(output) if state.is_main_process else nullcontext(),
        ResultCache(cache or default_cache()) as results,
    ):
        keys = Keys(
            image=results.register({"pillow": PIL.__version__, "max_image_pixels": max_image_pixels}),
            caption=captioner and results.register({"kind": "caption", **captioner.settings}),
            objects=grounder
            and results.register({"kind": "objects", "phrases": _phrase_rule(nlp), **grounder.settings}),
        )
        faults: list[Fault] = []
        if state.is_main_process:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            root = image_root and Path(image_root)
            scan = Scan(results, keys, Path(image_folder or "."), root, nlp, faults, ambiguous)
            for split, rows in dataset.items():
                scan(rows, split, part / f"{split}.arrow")
        state.wait_for_everyone()
        scanned = {split: Dataset.from_file(str(part / f"{split}.arrow")) for split in dataset}

        work = Work(results, keys, captioner, grounder, scanned, batch_size, num_workers, max_image_pixels)
        wanted = work.wanted()
        mine = {digest: wants for digest, wants in wanted.items() if _is_share_of(state, digest)}
        work.do(mine, progress and state.is_local_main_process)
        told = {"faults": work.faults, "captioned": work.captioned, "grounded": work.grounded}
        (part / f"work-{state.process_index}.json").write_text(json.dumps(told))
        state.wait_for_everyone()

        told = [json.loads((part / f"work-{i}.json").read_text()) for i in range(state.num_processes)]
        failed = {(kind, *item): reason for one in told for kind, *item, reason in one["faults"]}
        if state.is_main_process:
            join = Join(results, keys, failed, faults)
            joined = DatasetDict({split: join(rows, split, part) for split, rows in scanned.items()})
            if empty := [split for split, rows in joined.items() if not len(rows)]:
                logger.warning("Splits without any usable post are left out: %s.", ", ".join(empty))
                joined = DatasetDict({split: rows for split, rows in joined.items() if len(rows)})
            if not joined:
                raise ValueError(f"No post can be used; the first fault: {faults[0].reason if faults else 'no post'}")
            settings = {name: {"key": key, **results.settings(key)} for name, key in asdict(keys).items() if key}
            _write(joined, faults, settings, part / "output", embed_images)
            if output.exists():
                output.rmdir()
            (part / "output").rename(output)
        state.wait_for_everyone()
        if state.is_main_process:
            shutil.rmtree(part)
    return Preparation(
        dataset=DatasetDict.load_from_disk(str(output / "dataset")),
        faults=[Fault(**json.loads(line)) for line in (output / "report.jsonl").open(encoding="utf-8")],
        rows=sum(map(len, dataset.values())),
        images=len(wanted),
        captioned=None if captioner is None else sum(one["captioned"] for one in told),
        grounded=None if grounder is None else sum(one["grounded"] for one in told),
    )


def process_state() -> PartialState:
    """This process among those that `accelerate launch` has started, and its device; they may wait long for others."""
    return PartialState(cpu=not torch.accelerator.is_available(), timeout=timedelta(days=30))


@contextmanager
def _quiet(wanted: bool = True) -> Iterator[None]:
    """Without the bars of `datasets`, if that is wanted."""
    if not wanted or are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


def _is_share_of(state: PartialState, digest: str) -> bool:
    """Whether an image is this process's to look at."""
    return int(digest[:8], 16) % state.num_processes == state.process_index


def _phrase_rule(nlp: Callable | None) -> str:
    if nlp is None:
        return "words between function words"
    meta = getattr(nlp, "meta", {})
    return f"spaCy {meta.get('lang')}_{meta.get('name')} {meta.get('version')}"


def _write(
    dataset: DatasetDict, faults: list[Fault], settings: Mapping[str, Any], folder: Path, embed_images: bool
) -> None:
    (folder / "parquet").mkdir(parents=True)
    if embed_images:
        with _quiet(sum(map(len, dataset.values())) < WORTH_A_BAR):
            dataset.save_to_disk(folder / "dataset")
        dataset = DatasetDict.load_from_disk(str(folder / "dataset"))
    else:
        # `save_to_disk` puts the bytes of an image into every row. The rows as they are have their paths.
        first = {split: rows.select([0]) for split, rows in dataset.items()}
        with _quiet():
            DatasetDict(first).save_to_disk(folder / "dataset")
        for split, rows in dataset.items():
            (file,) = (folder / "dataset" / split).glob("*.arrow")
            shutil.copyfile(rows.cache_files[0]["filename"], file)
    for split, rows in dataset.items():
        rows.to_parquet(folder / "parquet" / f"{split}.parquet")
    faults.sort(key=lambda fault: (fault.split, fault.row, fault.kind))
    with (folder / "report.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(asdict(fault), ensure_ascii=False) + "\n" for fault in faults)
    (folder / "prepared.json").write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

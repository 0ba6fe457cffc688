"""Preparation of posts for a model: captions and objects, computed once per distinct image."""

import json
import logging
import shutil
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import PIL
from datasets import Dataset, DatasetDict

from ..file_locks import sole_writer
from ..processing.image_opening import MAX_IMAGE_PIXELS
from ..processing.post_text import check_ambiguous
from .annotation import Annotator, Captioner, Grounder
from .columns import Keys
from .faults import Fault
from .image_finder import ImageFinder
from .join import SplitJoin
from .object_cells import holds_crops, kind_of_objects
from .output_folder import read_output, write_output
from .processes import is_own_share, process_state
from .result_cache import ResultCache, default_cache
from .scan import ScanSettings, SplitScan, phrase_query
from .summary import Preparation

logger = logging.getLogger(__name__)


def prepare(
    dataset: Mapping[str, Dataset],
    output: str | Path,
    captioner: Captioner | None = None,
    grounder: Grounder | None = None,
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

    Every distinct image, identified by the content of its file, is captioned once, and searched once per set of
    phrases, in all runs together: `cache` stores each result under the image, the model's weights and its settings. A
    killed run continues from the last cached batch. Processes started by `accelerate launch`, and commands running at
    the same time with the same cache, share the work.

    A post that cannot be used is reported and does not stop the run. Relation labels are never read: `READ` lists the
    columns that are.

    Args:
        dataset: Splits with `text` or `words`, and with `head` and `tail` as spans or as strings that occur in the
            text. Optional columns: `image` (a path, bytes, or an image of `datasets`), `id`, and `caption` and
            `objects`, which are kept as they are. All other columns are copied. If posts have both `text` and `words`,
            spans in the output count words, and `text` is empty.
        output: A new folder: `dataset/` for `datasets.load_from_disk`, `parquet/`, `report.jsonl` with one fault per
            line, and `prepared.json` with the settings.
        captioner: An `ImageCaptioner` or another `Captioner`; without one, no captions are computed.
        grounder: An `ObjectGrounder` or another `Grounder`; without one, no objects are detected.
        cache: Folder of a `ResultCache`; `default_cache()` by default.
        image_folder: Folder that relative image paths start from; the working directory by default.
        image_root: Refuse images outside this folder, after resolving links.
        nlp: A spaCy pipeline for noun phrases, see `noun_phrases`.
        batch_size: Number of images per forward pass of a model.
        num_workers: Number of threads that open images.
        max_image_pixels: An image with more pixels is refused before it is decoded.
        embed_images: Store the bytes of the images in the output, once per post, so that it can be moved to another
            machine. By default the output has the paths of the images; `push_to_hub` uploads the files behind them.
        ambiguous: What to do with a head or tail that is given as a string and occurs in the text more than once:
            `"error"` reports the post; `"first"` uses the first occurrence; `"all"` makes one row per pair of
            occurrences, in the order of the text, with the `id` and the other columns of the post.
        progress: Show a progress bar.

    Returns:
        `Preparation`.

    Raises:
        FileExistsError: `output` is not empty, or another process is writing it.
        ValueError: `ambiguous` has another value, a required column is missing, no post can be used, or a grounder is
            given for posts whose objects are crops.
    """
    check_ambiguous(ambiguous)
    output, state = Path(output), process_state()
    if output.exists() and any(output.iterdir()):
        raise FileExistsError(f"{output} is not empty; expected a new or empty folder.")
    crops = [split for split, rows in dataset.items() if holds_crops(rows) or kind_of_objects(rows) == "paths"]
    if grounder is not None and crops:
        raise ValueError(
            f"The objects of the split {crops[0]!r} are image crops, which cannot be mixed with detected boxes. Leave "
            "out the grounder, or the column `objects`."
        )
    part = output.with_name(output.name + ".part")
    with (
        sole_writer(output) if state.is_main_process else nullcontext(),
        ResultCache(cache or default_cache()) as results,
    ):
        keys = _register(results, captioner, grounder, nlp, max_image_pixels)
        faults: list[Fault] = []
        if state.is_main_process:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            finder = ImageFinder(results, Path(image_folder or "."), Path(image_root) if image_root else None)
            scan_settings = ScanSettings(keys, finder, phrase_query(nlp), ambiguous)
            for split, rows in dataset.items():
                SplitScan(rows, split, scan_settings, faults).write(part / f"{split}.arrow")
        state.wait_for_everyone()
        scanned = {split: Dataset.from_file(str(part / f"{split}.arrow")) for split in dataset}

        annotator = Annotator(results, keys, captioner, grounder, scanned, batch_size, num_workers, max_image_pixels)
        pending = annotator.pending()
        share = {digest: work for digest, work in pending.items() if is_own_share(state, digest)}
        annotator.run(share, progress and state.is_local_main_process)
        done = {"faults": annotator.faults, "captioned": annotator.captioned, "grounded": annotator.grounded}
        (part / f"work-{state.process_index}.json").write_text(json.dumps(done))
        state.wait_for_everyone()

        shares: list[dict[str, Any]] = [
            json.loads((part / f"work-{i}.json").read_text()) for i in range(state.num_processes)
        ]
        if state.is_main_process:
            failures = {(kind, *item): reason for share in shares for kind, *item, reason in share["faults"]}
            joined = DatasetDict(
                {
                    split: SplitJoin(rows, split, results, keys, failures, faults).write(part)
                    for split, rows in scanned.items()
                }
            )
            settings = {name: {"key": key, **results.settings(key)} for name, key in asdict(keys).items() if key}
            write_output(part / "output", _non_empty(joined, faults), faults, settings, embed_images)
            if output.exists():
                output.rmdir()
            (part / "output").rename(output)
        state.wait_for_everyone()
        if state.is_main_process:
            shutil.rmtree(part)
    prepared, faults = read_output(output)
    return Preparation(
        dataset=prepared,
        faults=faults,
        rows=sum(map(len, dataset.values())),
        images=len(pending),
        captioned=None if captioner is None else sum(share["captioned"] for share in shares),
        grounded=None if grounder is None else sum(share["grounded"] for share in shares),
    )


def _register(
    results: ResultCache,
    captioner: Captioner | None,
    grounder: Grounder | None,
    nlp: Callable | None,
    max_image_pixels: int,
) -> Keys:
    """The keys of this run's results: all settings that a result depends on."""
    caption = objects = None
    if captioner is not None:
        caption = results.register({"kind": "caption", **captioner.settings})
    if grounder is not None:
        objects = results.register({"kind": "objects", "phrases": _phrase_rule(nlp), **grounder.settings})
    image = results.register({"pillow": PIL.__version__, "max_image_pixels": max_image_pixels})
    return Keys(image, caption, objects)


def _phrase_rule(nlp: Callable | None) -> str:
    if nlp is None:
        return "words between function words"
    meta = getattr(nlp, "meta", {})
    return f"spaCy {meta.get('lang')}_{meta.get('name')} {meta.get('version')}"


def _non_empty(dataset: DatasetDict, faults: list[Fault]) -> DatasetDict:
    empty = [str(split) for split, rows in dataset.items() if not len(rows)]
    if empty:
        logger.warning("Splits without any usable post are left out: %s.", ", ".join(empty))
        dataset = DatasetDict({split: rows for split, rows in dataset.items() if len(rows)})
    if not dataset:
        raise ValueError(f"No post can be used; the first fault: {faults[0].reason if faults else 'no posts'}")
    return dataset

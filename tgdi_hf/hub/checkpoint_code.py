"""The code in a checkpoint: model, processor and pipeline in one flat folder, for machines without this package."""

import inspect
import shutil
from functools import cache
from os import PathLike
from pathlib import Path

from transformers.dynamic_module_utils import get_relative_import_files

# The modules that the JSON files of a checkpoint name; these import all its other modules.
ENTRIES = {
    "configuration_tgdi": "TGDIConfig",
    "modeling_tgdi": "TGDIForRelationExtraction",
    "processing_tgdi": "TGDIProcessor",
    "pipeline_tgdi": "MultimodalRelationExtractionPipeline",
}
# transformers copies a file together with the files that it imports, both into its cache of remote code and into the
# folder of a saved object. The model and the pipeline do not import each other, so without these imports a model loaded
# as remote code would be saved without its pipeline.
IMPORTS = (
    "\n\n# Never executed: these imports make transformers copy all files of a checkpoint together.\nif False:\n"
    + "".join(f"    from .{module} import {name}  # noqa\n" for module, name in ENTRIES.items())
)


@cache  # finding them takes longer than copying them, and training saves many checkpoints
def code_files() -> dict[str, Path]:
    """Returns the source files to copy into a checkpoint, by file name."""
    from ..modeling import configuration_tgdi
    from ..processing import processing_tgdi

    folders = [Path(inspect.getfile(module)).parent for module in (configuration_tgdi, processing_tgdi)]
    entries = [path for folder in folders for name in ENTRIES if (path := folder / f"{name}.py").is_file()]
    imported = [Path(path) for entry in entries for path in get_relative_import_files(entry)]
    return {path.name: path for path in sorted({*entries, *imported})}


def write_code(folder: str | PathLike) -> None:
    """Copies the code into a checkpoint; existing files of the same names are overwritten."""
    for name, source in code_files().items():
        target = Path(folder, name)
        shutil.copyfile(source, target)
        if source.stem in ENTRIES:
            with target.open("a", encoding="utf-8") as file:
                file.write(IMPORTS)

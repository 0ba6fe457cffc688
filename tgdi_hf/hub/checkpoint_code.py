"""The code in a checkpoint: model, processor and pipeline, flat in one folder, for machines without this package."""

import shutil
from pathlib import Path

from transformers.dynamic_module_utils import get_relative_import_files

# The modules that a checkpoint's JSON files name; whatever else it carries, they import.
ENTRIES = {
    "configuration_tgdi": "TGDIConfig",
    "modeling_tgdi": "TGDIForRelationExtraction",
    "processing_tgdi": "TGDIProcessor",
    "pipeline_tgdi": "MultimodalRelationExtractionPipeline",
}
# transformers copies a file and the files that it imports, both into its cache of remote code and into the folder
# that an object is saved in. Here model and pipeline do not import each other, so a model that was loaded as remote
# code would be saved without its pipeline.
IMPORTS = "\n\n# Not run: imports by which all files of a checkpoint are copied together.\nif False:\n" + "".join(
    f"    from .{module} import {name}  # noqa\n" for module, name in ENTRIES.items()
)


def code_files() -> dict[str, Path]:
    """The files of this package that travel with a checkpoint, by their names there."""
    from ..modeling import configuration_tgdi
    from ..processing import processing_tgdi

    folders = [Path(module.__file__).parent for module in (configuration_tgdi, processing_tgdi)]
    entries = [path for folder in folders for name in ENTRIES if (path := folder / f"{name}.py").is_file()]
    imported = [Path(path) for entry in entries for path in get_relative_import_files(entry)]
    return {path.name: path for path in sorted({*entries, *imported})}


def write_code(folder: str | Path) -> None:
    """Copies the code into a checkpoint, over files of the same names."""
    for name, source in code_files().items():
        target = Path(folder, name)
        shutil.copyfile(source, target)
        if source.stem in ENTRIES:
            with target.open("a", encoding="utf-8") as file:
                file.write(IMPORTS)

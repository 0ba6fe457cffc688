"""
transformers' own common tests, from the source distribution of the installed version. They are never part of this
repository: `python -m tests.common.upstream` fetches them once into `folder()`, outside the source tree, and
`load` imports them from there.
"""

import json
import os
import subprocess
import sys
import tarfile
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import pytest
import transformers

PACKAGE = "transformers_tests"  # not `tests`, which is ours
FILES = (
    "test_configuration_common.py",
    "test_modeling_common.py",
    "test_pipeline_mixin.py",
    "test_processing_common.py",
)
# What those files import or read, and the source distribution lacks. So there are no tests of exporting and of
# generation, and no list of tiny models on the Hub.
STUBS = {
    f"{PACKAGE}/__init__.py": "",
    f"{PACKAGE}/exporters/__init__.py": "",
    f"{PACKAGE}/exporters/test_export.py": "class ExportTesterMixin:\n    pass\n",
    f"{PACKAGE}/generation/__init__.py": "",
    f"{PACKAGE}/generation/test_utils.py": "class GenerationTesterMixin:\n    pass\n",
    f"{PACKAGE}/utils/__init__.py": "",
    f"{PACKAGE}/utils/test_configuration_utils.py": "config_common_kwargs = {}\n",
    "tests/utils/tiny_model_summary.json": json.dumps({}),
    "src/transformers/__init__.py": "",
    "utils/fetch_hub_objects_for_ci.py": "def url_to_local_path(url):\n    return url\n",
}


def folder() -> Path:
    """Where the tests of the installed version are, or would be: under `$TRANSFORMERS_TESTS` or in the environment."""
    cache = os.environ.get("TRANSFORMERS_TESTS") or Path(sys.prefix, "transformers-tests")
    return Path(cache, transformers.__version__)


def load(name: str) -> ModuleType:
    r"""
    Args:
        name (`str`): Of one of `FILES`, without `.py`.

    Raises:
        FileNotFoundError: The tests were not fetched.
    """
    if not (folder() / PACKAGE).is_dir():
        raise FileNotFoundError(f"The tests of transformers are not in {folder()}; `make test-common` fetches them.")
    if str(folder()) not in sys.path:
        sys.path.append(str(folder()))
    return import_module(f"{PACKAGE}.{name}")


def load_or_skip(name: str) -> ModuleType:
    """`load`, for the top of a test module: skips it where the tests were not fetched."""
    try:
        return load(name)
    except FileNotFoundError as error:
        pytest.skip(str(error), allow_module_level=True)


def fetch(target: Path) -> None:
    """Downloads the source distribution of the installed version and unpacks its common tests into `target`."""
    wanted = f"transformers=={transformers.__version__}"
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest"]
    with TemporaryDirectory() as downloads:
        subprocess.run([*pip, downloads, wanted], check=True)
        (archive,) = Path(downloads).glob("*.tar.gz")
        unpack(archive, target)


def unpack(archive: Path, target: Path) -> None:
    r"""
    Args:
        archive (`Path`): A source distribution of transformers.
        target (`Path`): A folder that does not exist yet. It appears complete, or not at all.

    Raises:
        RuntimeError: Python before 3.11.4, whose tarfile does not refuse links out of the archive.
        ValueError: The archive lacks one of `FILES`.
    """
    if not hasattr(tarfile, "data_filter"):
        raise RuntimeError("Unpacking the common tests of transformers requires Python 3.11.4 or newer.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent) as scratch, tarfile.open(archive) as tar:
        root = tar.getnames()[0].split("/")[0]
        names = [f"{root}/tests/{name}" for name in FILES]
        if missing := sorted(set(names) - set(tar.getnames())):
            raise ValueError(f"{archive.name} lacks {', '.join(missing)}: it has no common tests of transformers.")
        tar.extractall(scratch, [tar.getmember(name) for name in names], filter="data")
        whole = Path(scratch, "whole")
        whole.mkdir()
        Path(scratch, root, "tests").rename(whole / PACKAGE)
        for name, text in STUBS.items():
            path = whole / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        whole.rename(target)


if __name__ == "__main__" and not (folder() / PACKAGE).is_dir():
    fetch(folder())

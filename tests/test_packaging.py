import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
IMPORT = """
import pathlib, tgdi_hf, tgdi_hf.modeling.modeling_tgdi as m, tgdi_hf.processing.processing_tgdi as p
from importlib.util import find_spec
import tgdi_hf.cli
print(*sorted(str(pathlib.Path(x.__file__).resolve()) for x in (tgdi_hf, m, p)), sep="\\n")
assert find_spec("modeling") is None and find_spec("processing") is None
"""


def modules(archive):
    with zipfile.ZipFile(archive) as wheel:
        return {name for name in wheel.namelist() if name.endswith(".py")}


@pytest.mark.slow
def test_wheel_and_sdist_give_the_same_package_in_a_clean_environment(tmp_path):
    build = [sys.executable, "-m", "build", "--outdir"]
    subprocess.run([*build, tmp_path / "direct", "--wheel", ROOT], check=True)  # from the checkout
    subprocess.run([*build, tmp_path / "sdist", ROOT], check=True)  # an sdist, and the wheel from it
    (direct,) = (tmp_path / "direct").glob("*.whl")
    (wheel,) = (tmp_path / "sdist").glob("*.whl")
    assert modules(direct) == modules(wheel)
    sources = {f"tgdi_hf/{path.name}" for path in (ROOT / "tgdi_hf").glob("*.py")}
    sources |= {
        f"tgdi_hf/{folder}/{path.name}"
        for folder in ("modeling", "processing")
        for path in (ROOT / folder).glob("*.py")
    }
    assert modules(wheel) == sources

    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv/bin/python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", wheel], check=True)
    # The dependencies come from here; an editable install of the checkout, a .pth file, is not read from there.
    environment = {**os.environ, "PYTHONPATH": sysconfig.get_path("purelib")}
    found = subprocess.run(
        [python, "-c", IMPORT], check=True, cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    files = found.stdout.split()
    assert len(files) == 3
    assert all(file.startswith(str((tmp_path / "venv").resolve())) for file in files)
    command = [tmp_path / "venv/bin/tgdi", "--help"]
    helped = subprocess.run(command, check=True, env=environment, capture_output=True, text=True)
    assert "demo" in helped.stdout

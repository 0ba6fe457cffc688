"""Distributions: contents of wheel and sdist, the environments they install, and their metadata."""

import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = sorted(path.parent.name for path in (ROOT / "tgdi_hf").glob("*/__init__.py"))
PACKAGES = {
    "tgdi_hf": "tgdi_hf",
    **{f"tgdi_hf.{room}": f"tgdi_hf/{room}" for room in ROOMS},
    "tgdi_hf.modeling": "modeling",
    "tgdi_hf.processing": "processing",
}
IMPORT = f"""PACKAGES = {[*PACKAGES]}
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
for package in PACKAGES:
    # Per package: only a wheel has the folders of the subpackages inside that of the package.
    modules = [m.name for m in iter_modules(import_module(package).__path__, package + ".") if not m.ispkg]
    for name in (package, *modules):
        print(name, Path(import_module(name).__file__).resolve())
assert find_spec("modeling") is None and find_spec("processing") is None
"""
BUILD_EDITABLE = "import sys; from setuptools import build_meta; print(build_meta.build_editable(sys.argv[1]))"


def run(*command, **kwargs):
    done = subprocess.run(command, capture_output=True, text=True, **kwargs)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def files_in(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def modules_in_new_environment(wheel, folder):
    """Installs the wheel and maps each module that can then be imported to its file."""
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin/python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel)
    # The dependencies are those of this environment, after the installed packages in the search path. An editable
    # installation of the checkout does not come along: .pth files are read in an environment's own folder only.
    (site_packages,) = folder.glob("lib/python*/site-packages")
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    found = run(python, "-c", IMPORT, cwd=folder)
    assert "demo" in run(folder / "bin/tgdi", "--help", cwd=folder)
    return dict(line.split(" ", 1) for line in found.splitlines())


@pytest.fixture
def checkout(tmp_path):
    """A clean copy: a build leaves files behind and packs those that an earlier build left."""
    copy = tmp_path / "checkout"
    for folder in ("tgdi_hf", "modeling", "processing", "examples", "tests"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, copy)
    return copy


@pytest.mark.slow
def test_wheel_sdist_and_editable_install_give_the_same_package(checkout, tmp_path):
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir"]
    run(*build, tmp_path / "sdist", checkout)  # an sdist, and the wheel from it
    run(*build, tmp_path / "direct", "--wheel", checkout)
    editable = tmp_path / run(sys.executable, "-c", BUILD_EDITABLE, tmp_path, cwd=checkout).splitlines()[-1]
    (wheel,) = (tmp_path / "sdist").glob("*.whl")
    (direct,) = (tmp_path / "direct").glob("*.whl")
    sources = {
        f"{package.replace('.', '/')}/{path.name}"
        for package, folder in PACKAGES.items()
        for path in (ROOT / folder).iterdir()
        if path.suffix in (".py", ".md", ".typed")  # code, the model card template, the marker of PEP 561
    }
    assert "tgdi_hf/py.typed" in sources
    assert files_in(wheel) == files_in(direct) == sources

    installed = modules_in_new_environment(wheel, tmp_path / "installed")
    edited = modules_in_new_environment(editable, tmp_path / "edited")
    assert installed.keys() == edited.keys()
    assert "tgdi_hf.modeling.modeling_tgdi" in installed
    assert all(Path(file).is_relative_to((tmp_path / "installed").resolve()) for file in installed.values())
    assert all(Path(file).is_relative_to(checkout.resolve()) for file in edited.values())


def test_metadata(checkout, tmp_path):
    build = (
        "import sys; from setuptools import build_meta; print(build_meta.prepare_metadata_for_build_wheel(sys.argv[1]))"
    )
    folder = tmp_path / run(sys.executable, "-c", build, tmp_path, cwd=checkout).splitlines()[-1]
    metadata = message_from_string((folder / "METADATA").read_text(encoding="utf-8"))
    assert metadata["License-Expression"] == "Apache-2.0"
    links = dict(link.split(", ") for link in metadata.get_all("Project-URL"))
    assert links.keys() == {"Source", "Issues", "Changelog", "Paper"}
    assert (checkout / "CHANGELOG.md").is_file() and links["Changelog"].endswith("/CHANGELOG.md")

    minimum = metadata["Requires-Python"].removeprefix(">=")
    settings = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    assert settings["mypy"]["python_version"] == minimum
    assert settings["ruff"]["target-version"] == f"py{minimum.replace('.', '')}"
    versions = re.findall(r"Python :: (3\.\d+)$", "\n".join(metadata.get_all("Classifier")), re.M)
    assert versions[0] == minimum

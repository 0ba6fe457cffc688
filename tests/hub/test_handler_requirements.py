import ast
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

from packaging.requirements import Requirement

from tgdi_hf.hub import handler_requirements as module
from tgdi_hf.hub.handler_requirements import handler_requirements

ROOT = Path(__file__).parents[2]
DISTRIBUTIONS = {"PIL": "pillow", "huggingface_hub": "huggingface-hub"}
# `transformers` requires it itself; the handler imports `tgdi_hf` for exports alone.
OTHERWISE = {"regex", "tgdi_hf"}


def test_everything_that_is_imported_has_a_lower_bound():
    files = [*(ROOT / "modeling").glob("*.py"), *(ROOT / "processing").glob("*.py"), ROOT / "tgdi_hf/hub/handler.py"]
    imported = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.add(node.module.partition(".")[0])
            elif isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
    expected = {DISTRIBUTIONS.get(name, name) for name in imported - set(sys.stdlib_module_names) - OTHERWISE}
    lines = [Requirement(line) for line in handler_requirements().splitlines()]
    assert all([one.operator for one in line.specifier] == [">="] and line.marker is None for line in lines)
    # Weights are safetensors files, which transformers reads.
    assert {line.name for line in lines} == expected | {"safetensors"}


def test_a_checkout_has_no_bounds(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(module, "requires", missing)
    assert handler_requirements() is None

"""The notebooks in `examples/`: quickly on few rows without a kernel, and as they are in one."""

import os
import re

import nbformat
import pytest

from ..snippets import ROOT

NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
QUICK = {"rows": {"train": 48, "validation": 16, "test": 32}, "epochs": 1}

pytestmark = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells_of(path, kind="code"):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def test_a_notebook_is_valid_and_has_no_outputs(path):
    nbformat.validate(nbformat.read(path, as_version=4))
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells_of(path))


def test_links_lead_to_files(path):
    links = re.findall(r"\]\(([^)#]+)\)", "\n".join(cell.source for cell in cells_of(path, "markdown")))
    assert [link for link in links if not (path.parent / link).is_file()] == [] != links


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_the_cells_run_in_order(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    namespace: dict = {"__name__": "__main__"}
    for cell in cells_of(path):
        exec(compile(cell.source, f"{path.name}: {cell.id}", "exec"), namespace)
        if "parameters" in cell.metadata.get("tags", ()):
            assert QUICK.keys() <= namespace.keys()
            namespace |= QUICK
    assert "F1 0." in capsys.readouterr().out


@pytest.mark.slow
def test_the_notebook_runs_as_it_is(path, tmp_path):
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute(
        env={**os.environ, "PYTHONPATH": paths}
    )
    printed = "".join(
        output.text for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs
        if output.output_type == "stream" and output.name == "stdout"
    )  # fmt: skip
    assert "F1 0." in printed

"""Layout of the repository: direction of imports, size of modules, tests that mirror the rooms (CONTRIBUTING.md)."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(path for folder in ("modeling", "processing", "tgdi_hf") for path in (ROOT / folder).rglob("*.py"))
# A module imports from its own room and from rooms to the left.
ROOMS = (
    "data",
    "annotations",
    "preparation",
    "evaluation",
    "training",
    "inference",
    "export",
    "hub",
    "serving",
    "demo",
    "cli",
)
TRAVELLING = ("modeling", "processing")  # with a checkpoint, where only the files of the same folder exist
FOUNDATION = ("extras", "checkpoints", "file_locks")
ASSEMBLY = ("__init__", "__main__", "registration", "checkout")  # may import anything, and nothing imports them
LONGEST = 400  # lines

# Modules without a test file of the same name, by the test that covers them.
TESTED_ELSEWHERE = {
    # Parts of one class or result that are tested through it.
    "tests/modeling/test_configuration_tgdi.py": ("modeling/configuration_checks.py",),
    "tests/modeling/test_modeling_tgdi.py": (
        "modeling/forward_arguments.py",
        "modeling/result_fusion.py",
        "modeling/tgdi_outputs.py",
        "modeling/tgdi_pretrained_model.py",
    ),
    "tests/modeling/test_device_maps.py": ("modeling/devices.py",),
    "tests/modeling/test_pickling.py": ("modeling/recording_hooks.py",),
    "tests/processing/test_image_opening.py": ("processing/pillow.py",),
    "tests/processing/test_pipeline_tgdi.py": ("processing/post_reader.py",),
    "tests/processing/test_processing_tgdi.py": ("processing/invalid_post.py",),
    # Read back by transformers from saved checkpoints.
    "tests/hub/test_checkpoint_code.py": ("modeling/checkpoint_names.py",),
    "tests/export/test_command.py": ("tgdi_hf/cli/export.py",),
    # What goes into and comes out of a graph is compared with the model.
    "tests/export/test_exported_model.py": (
        "tgdi_hf/export/graph_inputs.py",
        "tgdi_hf/export/graphs.py",
        "tgdi_hf/export/sessions.py",
    ),
    "tests/evaluation/test_report_files.py": ("tgdi_hf/evaluation/report_figures.py",),
    # Parts of `make_corpus`, whose output is compared byte by byte.
    "tests/demo/test_corpus.py": (
        "tgdi_hf/demo/corpus_ceiling.py",
        "tgdi_hf/demo/corpus_drawings.py",
        "tgdi_hf/demo/corpus_images.py",
        "tgdi_hf/demo/corpus_plan.py",
        "tgdi_hf/demo/corpus_schema.py",
        "tgdi_hf/demo/corpus_templates.py",
        "tgdi_hf/demo/corpus_texts.py",
    ),
    "tests/demo/test_tiny.py": ("tgdi_hf/demo/tiny_model.py",),
    # Commands are tested through the app they register with.
    "tests/cli/test_main.py": tuple(
        f"tgdi_hf/cli/{name}.py"
        for name in (
            *("arguments", "messages", "options", "pipelines"),
            *("audit", "demo", "evaluate", "explain", "predict", "prepare", "push", "serve", "train", "triples"),
        )
    ),
}


def shown(path):
    return str(path.relative_to(ROOT))


def as_module(path):
    """Dotted name as installed, for example `tgdi_hf.modeling.modeling_tgdi`, and whether it is a package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "tgdi_hf" else ("tgdi_hf", *parts)
    return parts[: -1 if parts[-1] == "__init__" else None], parts[-1] == "__init__"


def imports_of(path):
    """Line and target, as parts of a dotted name, of every import of this package, also those inside functions."""
    name, is_package = as_module(path)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            targets = [tuple(alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = () if not node.level else name[: len(name) - node.level + is_package]
            base += tuple(node.module.split(".")) if node.module else ()
            targets = [(*base, alias.name) for alias in node.names]
        else:
            continue
        yield from ((node.lineno, target) for target in targets if target[0] == "tgdi_hf")


def room_of(parts):
    """The room or root module that a dotted name leads to; "" for a name of the package itself."""
    known = (*ROOMS, *TRAVELLING, *FOUNDATION, *ASSEMBLY)
    return parts[1] if len(parts) > 1 and parts[1] in known else ""


def may_import(room):
    """Rooms and root modules that modules of `room` may import."""
    if room in TRAVELLING:
        return {room}
    if room in FOUNDATION:
        return {*FOUNDATION, *TRAVELLING}
    return {*TRAVELLING, *FOUNDATION, *ROOMS[: ROOMS.index(room) + 1]}


def test_every_module_has_a_room():
    rooms = {path.parent.name for path in (ROOT / "tgdi_hf").glob("*/__init__.py")}
    assert rooms == {*ROOMS}
    assert {path.stem for path in (ROOT / "tgdi_hf").glob("*.py")} == {*FOUNDATION, *ASSEMBLY}
    assert all(path.parent.parent in (ROOT, ROOT / "tgdi_hf") for path in MODULES if path.parent.name != "tgdi_hf")


@pytest.mark.parametrize("room", [*TRAVELLING, *FOUNDATION, *ROOMS])
def test_imports_point_one_way(room):
    allowed = may_import(room)
    wrong = [
        f"{shown(path)}:{line} imports {'.'.join(target)}"
        for path in MODULES
        if room_of(as_module(path)[0]) == room
        for line, target in imports_of(path)
        # A name of the package itself would be one of its lazy attributes, from any room.
        if room_of(target) not in allowed and target[1:] != ("__version__",)
    ]
    assert not wrong, f"{room} may import {', '.join(sorted(allowed))}:\n" + "\n".join(wrong)


def test_direction_is_checked_inside_functions_too(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    module = tmp_path / "tgdi_hf/data/example.py"
    module.parent.mkdir(parents=True)
    module.write_text("from .labels import a\ndef f():\n    from ..cli import main\n    import tgdi_hf.hub.upload\n")
    found = [(line, room_of(target)) for line, target in imports_of(module)]
    assert found == [(1, "data"), (3, "cli"), (4, "hub")]
    assert "cli" not in may_import("data") and "data" in may_import("cli")


def test_no_module_is_long():
    files = [*MODULES, *(ROOT / "examples").rglob("*.py")]
    lengths = {shown(path): len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert not {name: length for name, length in lengths.items() if length > LONGEST}


def test_every_room_says_what_it_holds():
    for folder in [
        *(ROOT / room for room in TRAVELLING),
        ROOT / "tgdi_hf",
        *(ROOT / "tgdi_hf" / room for room in ROOMS),
    ]:
        assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))), folder


def test_tests_mirror_the_modules():
    covered = {name for modules in TESTED_ELSEWHERE.values() for name in modules}
    missing = set()
    for path in MODULES:
        (_, *parts), is_package = as_module(path)
        test = ROOT.joinpath("tests", *parts[:-1], f"test_{parts[-1]}.py") if parts else path
        if not is_package and path.stem not in ASSEMBLY and not test.is_file():
            missing.add(shown(path))
    assert not sorted(missing - covered), "these modules have no test file of the same name"
    assert not [name for name in (*TESTED_ELSEWHERE, *covered) if not (ROOT / name).is_file()]


def test_tests_stand_in_the_room_that_they_test():
    rooms = {path.parent.name for path in (ROOT / "tests").glob("*/__init__.py")}
    assert rooms == {*ROOMS, *TRAVELLING, "common", "examples"}

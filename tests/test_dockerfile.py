"""What can be checked of the Dockerfile without building an image, which needs Docker and a network."""

import json
import re
import shlex
from pathlib import Path

import pytest
import typer

from tgdi_hf.cli.main import app

ROOT = Path(__file__).parents[1]


def instructions():
    """Pairs of instruction and arguments."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


def arguments_of(name):
    return [arguments for instruction, arguments in instructions() if instruction == name]


@pytest.fixture
def command():
    """The last CMD in exec form, which receives signals itself."""
    return json.loads(arguments_of("CMD")[-1])


def test_what_is_copied_exists_and_is_not_ignored():
    allowed = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }  # everything else is ignored
    sources = {source for arguments in arguments_of("COPY") for source in arguments.split()[:-1]}
    assert "*" in (ROOT / ".dockerignore").read_text().splitlines()
    assert sources == allowed and all((ROOT / source).exists() for source in sources)
    setup = (ROOT / "setup.py").read_text()
    read_by_setup = {*re.findall(r'ROOT / "(\w[\w.]*)"', setup), *re.findall(r'license_files=\["(\w+)"\]', setup)}
    assert read_by_setup and read_by_setup <= sources
    assert {"modeling", "processing", "tgdi_hf", "setup.py", "pyproject.toml"} <= sources


def test_the_extras_exist():
    (install,) = [
        one for arguments in arguments_of("RUN") for one in re.findall(r"pip install .+?(?= && |$)", arguments)
    ]
    (extras,) = re.findall(r"'\.\[([\w,]+)\]'", install)
    assert {"serve", "onnx"} == set(extras.split(","))
    assert all(f'"{extra}": ' in (ROOT / "setup.py").read_text() for extra in extras.split(","))
    words = shlex.split(install)
    assert words[words.index("-c") + 1] == "constraints-cpu.txt"
    assert words[words.index("--extra-index-url") + 1].endswith("/whl/cpu")


def test_python_is_a_supported_version():
    (image,) = arguments_of("FROM")
    version = re.fullmatch(r"python:(3\.\d+)-slim", image)[1]
    assert f'"Programming Language :: Python :: {version}"' in (ROOT / "setup.py").read_text()


def test_the_server_runs_without_privileges_and_without_network():
    names = [name for name, _ in instructions()]
    (user,) = arguments_of("USER")
    assert user.isdecimal() and int(user) > 0, "a number, which orchestrators can tell from root"
    assert names.index("USER") > max(i for i, name in enumerate(names) if name == "RUN")
    assert "HF_HUB_OFFLINE=1" in " ".join(arguments_of("ENV")).split()


def test_the_command_and_its_health_check_agree(command):
    assert command[:2] == ["tgdi", "serve"]
    context = typer.main.get_command(app).commands["serve"].make_context("serve", command[2:])
    assert context.params["host"] == "0.0.0.0"
    port = context.params["port"]
    assert arguments_of("EXPOSE") == [str(port)]
    (check,) = arguments_of("HEALTHCHECK")
    python, option, code = json.loads(check.partition("CMD ")[2])
    assert (python, option) == ("python", "-c")
    compile(code, "HEALTHCHECK", "exec")
    assert f"http://127.0.0.1:{port}/health" in code

import subprocess
import sys

import pytest
from filelock import FileLock

from tgdi_hf.file_locks import OutputInUse, is_locked, sole_writer

LOCK = "import filelock, time; l = filelock.FileLock({!r}); l.acquire(); print(1, flush=True); time.sleep(60)"


@pytest.fixture
def other_process(tmp_path):
    """Another process that holds the lock of the output `out`."""
    code = LOCK.format(str(tmp_path / "out.lock"))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    process.stdout.readline()
    yield process
    process.kill()
    process.wait()


def test_an_output_has_one_writer(other_process, tmp_path):
    assert is_locked(tmp_path / "out.lock")
    for error in (OutputInUse, FileExistsError, ValueError):
        with (
            pytest.raises(error, match=r"Another process is writing .*out and holds .*out.lock"),
            sole_writer(tmp_path / "out"),
        ):
            raise AssertionError("the lock is held by two processes")


def test_a_killed_writer_holds_no_lock(other_process, tmp_path):
    other_process.kill()
    other_process.wait()
    assert (tmp_path / "out.lock").exists() and not is_locked(tmp_path / "out.lock")
    with sole_writer(tmp_path / "out"):
        assert is_locked(tmp_path / "out.lock")
    assert not list(tmp_path.iterdir())


def test_the_lock_is_released_after_an_error(tmp_path):
    output = tmp_path / "new folder" / "out"
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), sole_writer(output):
            raise ZeroDivisionError
    assert not list(output.parent.iterdir())


def test_a_missing_file_is_not_locked(tmp_path):
    assert not is_locked(tmp_path / "owner")
    assert not list(tmp_path.iterdir())
    with FileLock(tmp_path / "owner"):
        assert is_locked(tmp_path / "owner")

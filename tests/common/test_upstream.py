import io
import tarfile

import pytest

from . import upstream

ROOT = "transformers-1.0"
needs_filters = pytest.mark.skipif(not hasattr(tarfile, "data_filter"), reason="requires Python 3.11.4")


@pytest.fixture
def pack(tmp_path):
    """Writes a source distribution of the given files."""

    def packed(files, links=()):
        archive = tmp_path / f"{ROOT}.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            for name, text in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(text)
                tar.addfile(info, io.BytesIO(text.encode()))
            for name, place in links:
                info = tarfile.TarInfo(name)
                info.type, info.linkname = tarfile.SYMTYPE, place
                tar.addfile(info)
        return archive

    return packed


def whole(**more):
    return {f"{ROOT}/README.md": "no test", **{f"{ROOT}/tests/{name}": f"'{name}'" for name in upstream.FILES}, **more}


@needs_filters
def test_only_the_common_tests_are_unpacked(pack, tmp_path):
    archive = pack({**whole(), f"{ROOT}/tests/test_other.py": "", f"{ROOT}/../../outside.py": "", "/outside.py": ""})
    upstream.unpack(archive, tmp_path / "cache" / "1.0")
    found = {str(p.relative_to(tmp_path / "cache" / "1.0")) for p in (tmp_path / "cache").rglob("*") if p.is_file()}
    assert found == {*(f"{upstream.PACKAGE}/{name}" for name in upstream.FILES), *upstream.STUBS}
    assert (tmp_path / "cache/1.0" / upstream.PACKAGE / upstream.FILES[0]).read_text() == f"'{upstream.FILES[0]}'"
    assert [p.name for p in (tmp_path / "cache").iterdir()] == ["1.0"]  # nothing is left behind


@needs_filters
def test_an_archive_without_the_tests_is_refused(pack, tmp_path):
    files = whole()
    del files[f"{ROOT}/tests/test_modeling_common.py"]
    with pytest.raises(ValueError, match=rf"{ROOT}.tar.gz lacks {ROOT}/tests/test_modeling_common.py"):
        upstream.unpack(pack(files), tmp_path / "cache" / "1.0")
    assert not [*(tmp_path / "cache").iterdir()]


@needs_filters
@pytest.mark.parametrize("place", ["/etc/passwd", "../../../../outside"])
def test_a_link_out_of_the_archive_is_refused(pack, tmp_path, place):
    files = whole()
    link = f"{ROOT}/tests/test_modeling_common.py"
    del files[link]
    with pytest.raises(tarfile.FilterError):
        upstream.unpack(pack(files, [(link, place)]), tmp_path / "cache" / "1.0")
    assert not (tmp_path / "cache" / "1.0").exists()


def test_the_folder_is_that_of_the_installed_version(monkeypatch, tmp_path):
    monkeypatch.setenv("TRANSFORMERS_TESTS", str(tmp_path))
    assert upstream.folder() == tmp_path / upstream.transformers.__version__
    monkeypatch.delenv("TRANSFORMERS_TESTS")
    assert upstream.folder().parent.name == "transformers-tests"


def test_without_the_tests_a_module_is_skipped_with_the_reason(monkeypatch, tmp_path):
    monkeypatch.setenv("TRANSFORMERS_TESTS", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=f"not in {tmp_path}/.*; `make test-common` fetches them"):
        upstream.load("test_modeling_common")
    with pytest.raises(pytest.skip.Exception, match="`make test-common` fetches them"):
        upstream.load_or_skip("test_modeling_common")

import subprocess
import sys

import pytest

from tgdi_hf.preparation.result_cache import KnownFile, ResultCache, default_cache

A, B, C = ("a", ""), ("b", ""), ("c", "q")


def test_results_are_identified_by_settings_image_and_query(tmp_path):
    with ResultCache(tmp_path) as cache:
        one, two = cache.register({"x": 1, "y": 2}), cache.register({"x": 2})
        assert one == cache.register({"y": 2, "x": 1}) != two
        assert cache.settings(one) == {"x": 1, "y": 2}
        cache.put([(one, *A, "ä"), (one, *C, [{"box": [1.5]}])])
    with ResultCache(tmp_path) as cache:
        assert cache.get(one, [A, B, C, ("c", "other")]) == {A: "ä", C: [{"box": [1.5]}]}
        assert cache.get(two, [A]) == {}


def test_more_items_than_an_sql_statement_takes(tmp_path):
    items = [(f"{i}", "") for i in range(40_000)]
    with ResultCache(tmp_path) as cache:
        cache.put(("k", *item, i) for i, item in enumerate(items))
        found = cache.get("k", items)
    assert len(found) == 40_000
    assert found[items[-1]] == 39_999


def test_an_item_is_claimed_by_one_process_at_a_time(tmp_path):
    with ResultCache(tmp_path) as one, ResultCache(tmp_path) as two:
        assert one.claim("k", [A, B]) == ([A, B], [])
        assert one.claim("k", [A]) == ([A], [])
        assert two.claim("k", [A, B, C]) == ([C], [A, B])
        assert two.claim("other", [A]) == ([A], [])
        one.put([("k", *A, 1)], claimed={"k": [A, B]})
        assert two.claim("k", [A, B]) == ([B], [])  # A is done, and the claim on B was released
    with ResultCache(tmp_path) as three:
        assert three.claim("k", [B, C]) == ([B, C], [])  # the other caches are closed


def test_claims_of_a_killed_process_are_void(tmp_path):
    code = (
        "import os, sys; from tgdi_hf.preparation.result_cache import ResultCache; c = ResultCache(sys.argv[1]);"
        "c.claim('k', [('a', '')]); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    with ResultCache(tmp_path) as cache:
        assert cache._db.execute("SELECT count(*) FROM claims").fetchone() == (1,)
        assert cache.claim("k", [A]) == ([A], [])


def test_a_batch_is_stored_completely_or_not_at_all(tmp_path):
    with ResultCache(tmp_path) as cache:
        with pytest.raises(TypeError):
            cache.put([("k", *A, 1), ("k", *B, object())])
        with pytest.raises(Exception, match="NOT NULL|datatype|bind"):
            cache.put([("k", *A, 1), ("k", *B, 2)], claimed={"k": [(object(), "")]})
        assert cache.get("k", [A, B]) == {}


def test_files_are_remembered_with_size_modification_time_and_digest(tmp_path):
    with ResultCache(tmp_path) as cache:
        cache.remember_files({"/a": KnownFile(1, 2, "x"), "/b": KnownFile(3, 4, "y")})
        cache.remember_files({"/a": KnownFile(5, 6, "z")})
        assert cache.known_files(["/a", "/b", "/c"]) == {"/a": (5, 6, "z"), "/b": (3, 4, "y")}


def test_the_default_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("TGDI_CACHE", str(tmp_path))
    assert default_cache() == tmp_path
    monkeypatch.delenv("TGDI_CACHE")
    assert default_cache().parts[-2:] == (".cache", "tgdi_hf")

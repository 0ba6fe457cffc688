"""Collects upstream's tests only for runs that include slow tests: their modules take seconds to import."""

UPSTREAM_CASES = {"test_configuration.py", "test_modeling.py", "test_pipeline.py", "test_processing.py"}
MARKERS = (
    "accelerate_tests", "flash_attn_test", "flash_attn_3_test", "flash_attn_4_test", "is_pipeline_test",
    "torch_compile_test",
)  # fmt: skip


def pytest_ignore_collect(collection_path, config):
    if collection_path.name in UPSTREAM_CASES and config.getoption("markexpr") == "not slow":
        return True  # all of them are slow
    return None


def pytest_configure(config):
    for name in MARKERS:
        config.addinivalue_line("markers", f"{name}: on some of transformers' common tests")

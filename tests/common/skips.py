"""Skips, by name and with the reason, of upstream's tests that mean nothing here."""

from typing import ClassVar

import pytest


class WithSkips:
    """The first base of a test case that runs upstream's tests of `mixin`, all of them but `skipped`."""

    mixin: ClassVar[type]
    skipped: ClassVar[dict[str, str]] = {}
    added: ClassVar[set[str]] = set()  # tests of ours that have no counterpart upstream

    def setUp(self):
        if self._testMethodName in self.skipped:
            pytest.skip(self.skipped[self._testMethodName])
        super().setUp()

    def test_skipped_and_overridden_tests_exist_upstream(self):
        tests = {name for name in dir(self) if name.startswith("test_") and callable(getattr(self, name))}
        unknown = sorted(
            name
            for name in (tests | self.skipped.keys()) - self.added - vars(WithSkips).keys()
            if not callable(getattr(self.mixin, name, None))
        )
        assert not unknown, f"{self.mixin.__name__} has no {', '.join(unknown)}"

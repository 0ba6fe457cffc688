"""The result of `prepare`, and its summary as text."""

from collections import Counter
from dataclasses import dataclass

from datasets import DatasetDict

from .faults import Fault


@dataclass
class Preparation:
    r"""
    The result of `prepare`.

    Args:
        dataset: The posts with `caption` and `objects`, and the keys of what computed them.
        faults: Posts that could not be used as they are.
        rows: Number of posts in the input.
        images: Number of distinct images.
        captioned, grounded: Numbers of results that were computed rather than read from the cache; `None` without a
            captioner or a grounder.
    """

    dataset: DatasetDict
    faults: list[Fault]
    rows: int
    images: int
    captioned: int | None
    grounded: int | None

    def summary(self) -> str:
        """Numbers of posts, images, computed results and faults, one line each."""
        lines = [
            f"{self.rows:,} posts, {self.images:,} distinct images; {self._computed()}.",
            *(f"  {split}: {len(rows):,} posts" for split, rows in self.dataset.items()),
        ]
        for (kind, kept), number in sorted(Counter((fault.kind, fault.kept) for fault in self.faults).items()):
            first = next(fault for fault in self.faults if (fault.kind, fault.kept) == (kind, kept))
            outcome = "kept without it" if kept else "left out"
            lines.append(f"  {number:,} posts with unusable {kind}, {outcome}; the first: {first.reason}")
        return "\n".join(lines)

    def _computed(self) -> str:
        results = (("captions", self.captioned), ("object detections", self.grounded))
        computed = [f"{number:,} {name}" for name, number in results if number is not None]
        if not computed:
            return "no captions or objects requested"
        return f"{' and '.join(computed)} computed, all others given or cached"

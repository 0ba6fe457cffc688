"""Structural alignment of MEGA: which objects and which words have like places in their graphs."""

from collections.abc import Sequence

import numpy as np

from .dependency_trees import DependencyTree

HOPS, DISCOUNT = 2, 0.01


def tree_edges(heads: Sequence[int]) -> np.ndarray:
    """The symmetric adjacency `(n, n)` of a tree, without loops."""
    adjacency = np.zeros((len(heads), len(heads)), dtype=bool)
    words = np.arange(len(heads))
    adjacency[words, list(heads)] = adjacency[list(heads), words] = True
    np.fill_diagonal(adjacency, False)
    return adjacency


def box_edges(boxes: Sequence[Sequence[float] | None]) -> np.ndarray:
    r"""
    The symmetric adjacency `(m, m)` of objects: two boxes are joined if they overlap (or one contains the other), if
    they are side by side at the same height, or if one is above the other at the same place from left to right.

    Args:
        boxes: `(x0, y0, x1, y1)`; `None` for an object without a box (an image of its own), which has no edges.
    """
    nowhere = (np.nan,) * 4  # equal to and less than nothing
    corners = np.array([nowhere if box is None else box for box in boxes], dtype=float).reshape(-1, 4)
    low, high = corners[:, None, :2], corners[None, :, 2:]
    meets = low < high  # (m, m, 2): the one starts before the other ends
    shares = meets & meets.transpose(1, 0, 2)
    # Sharing both axes is overlap, the vertical one alone left or right of, the horizontal one alone above or below.
    adjacency = shares.any(axis=-1)
    np.fill_diagonal(adjacency, False)
    return adjacency


def node_features(adjacency: np.ndarray) -> np.ndarray:
    r"""
    What a node's surroundings look like: `f = Σ_k 0.01^k · histogram of ⌊log₂ degree⌋ k hops away`, k = 0, 1, 2.

    Args:
        adjacency: Symmetric, without loops, `(n, n)`. Nodes without edges count in no histogram.

    Returns:
        `(n, bins)`.
    """
    degrees = adjacency.sum(axis=1)
    bins = np.floor(np.log2(degrees.clip(min=1))).astype(int)
    histogram = np.eye(bins.max(initial=0) + 1)[bins] * (degrees > 0)[:, None]  # (n, bins), of the node itself
    features, seen = histogram.copy(), np.eye(len(degrees), dtype=bool)
    hop = seen
    for k in range(1, HOPS + 1):
        hop = (hop.astype(int) @ adjacency.astype(int) > 0) & ~seen
        seen = seen | hop
        features += DISCOUNT**k * (hop @ histogram)
    return features


def structural_likeness(tree: DependencyTree, boxes: Sequence[Sequence[float] | None]) -> np.ndarray:
    """`a_ik = exp(−‖f_i − f_k‖)` for objects i and words k, `(m, words)`; exact, since the graphs are small."""
    of_words, of_objects = tree_edges(tree.heads), box_edges(boxes)
    n, m = len(of_words), len(of_objects)
    adjacency = np.zeros((n + m, n + m), dtype=bool)
    adjacency[:n, :n], adjacency[n:, n:] = of_words, of_objects
    features = node_features(adjacency)
    return np.exp(-np.linalg.norm(features[n:, None] - features[None, :n], axis=-1))

"""Successive halving: many candidates are trained briefly, the best of them for longer.

Jamieson and Talwalkar, *Non-stochastic best arm identification and hyperparameter optimization*,
AISTATS 2016. The resource is the number of epochs: after each rung the best third of the
candidates goes on, and is trained anew for three times as many epochs. On the last rung the
learning curves on held-out samples choose the number of epochs, too (early stopping).

Here is the arithmetic; `nested_cross_validate` trains.
"""

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np

RATE = 3  # one of so many candidates goes on, for so many times as many epochs
PARTS = 10  # of a learning curve; each has one score, the mean over its epochs


def rung_epochs(epochs: int, halvings: int) -> list[int]:
    """Return the number of epochs on each rung, the last of which trains for all `epochs`."""
    return [math.ceil(epochs / RATE**more) for more in range(halvings, -1, -1)]


def rung_sizes(pools: Sequence[Collection[int]], halvings: int) -> list[int]:
    """Return the number of candidates on each rung; every pool is halved by itself."""
    sizes = [len(pool) for pool in pools]
    rungs = [sum(sizes)]
    for _ in range(halvings):
        sizes = [-(-size // RATE) for size in sizes]
        rungs.append(sum(sizes))
    return rungs


def full_trainings(pools: Sequence[Collection[int]], halvings: int) -> float:
    """Return what all rungs cost, in trainings of one candidate for all epochs."""
    sizes = rung_sizes(pools, halvings)
    return sum(size / RATE ** (halvings - rung) for rung, size in enumerate(sizes))


def divide(n_candidates: int, groups: Mapping[str, Collection[int]] | None) -> list[list[int]]:
    """Return the pools that are halved separately: the groups, and the candidates in none."""
    pools = [list(members) for members in (groups or {}).values()]
    rest = sorted(set(range(n_candidates)).difference(*pools))
    return [*pools, rest] if rest else pools


def survivors(scores: np.ndarray, pools: Sequence[Collection[int]]) -> list[int]:
    """Return the candidates that go on: the best third of each pool, rounded up.

    Parameters
    ----------
    scores : array of shape (n_candidates,)
        The mean score of each candidate on this rung; nan if it did not get there.
    pools : sequence of collections of int
        See `divide`.
    """
    kept = set()
    for pool in pools:
        members = [candidate for candidate in sorted(pool) if not np.isnan(scores[candidate])]
        ranked = sorted(members, key=lambda candidate: -scores[candidate].round(12))
        kept.update(ranked[: -(-len(members) // RATE)])
    return sorted(kept)


def best_part(curves: np.ndarray) -> slice:
    """Return the epochs of the best tenth of the learning curves (the first on ties).

    A score of a tenth is the mean over its epochs and the splits: that of a single epoch is
    mostly noise, and the best of many would be an accident.

    Parameters
    ----------
    curves : array of shape (n_splits, epochs)
        Scores on held-out samples after every epoch.
    """
    n_epochs = curves.shape[1]
    ends = sorted({math.ceil(part * n_epochs / PARTS) for part in range(1, PARTS + 1)})
    parts = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
    return parts[int(np.argmax([curves[:, part].mean().round(12) for part in parts]))]

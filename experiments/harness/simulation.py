"""Simulate families of comparisons whose true differences are known, and what more runs would give.

On this dataset, the simulated families have the spread and the correlations of the arms'
comparisons: their differences are drawn with replacement, repeat by repeat, and shifted to the
true difference. On new data, classifiers that are equally good are cross-validated on small
datasets, each drawn anew.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from experiments.foldstack.comparison import (
    corrected_resampled_t,
    direction,
    family_level,
    size,
    t_interval,
)
from experiments.harness.runs import MARGIN, single_runs

DIFFERENCES = (0.0, 0.5, 1.0, 2.0)
# Of ten equally informative features, those that each of four equally good classifiers sees.
HALF, EVEN = np.arange(10) < 5, np.arange(10) % 2 == 0
FEATURES = np.array([HALF, ~HALF, EVEN, ~EVEN])


def simulate_families(values: np.ndarray, n_families: int, random_state: int) -> list[dict]:
    """Return how often verdicts on simulated families are wrong, a row per true difference.

    Parameters
    ----------
    values : array of shape (n_repeats, n_pairs)
        Differences of a family's pairs, in points.
    n_families, random_state : int

    Returns
    -------
    list of dict
        The columns of the table ``validation-answers``.
    """
    generator = np.random.default_rng(random_state)
    n_repeats, n_pairs = values.shape
    # Drawn with replacement, the values themselves would spread by a factor of √(1 − 1/n) less.
    centred = (values - values.mean(axis=0)) * np.sqrt(n_repeats / (n_repeats - 1))
    rows = []
    for difference in DIFFERENCES:
        drawn = generator.integers(n_repeats, size=(n_families, n_repeats))
        samples = np.moveaxis(centred[drawn] + difference, 1, 0)
        _, lows, highs, _ = t_interval(samples, family_level(n_pairs))  # (n_families, n_pairs)
        directions, sizes = _verdicts(lows, highs)
        right_direction = "better" if difference else "undecided"
        wrong_direction = ~np.isin(directions, [right_direction, "undecided"])
        right_size = {True: "less", False: "more"}[difference < MARGIN]
        right_size = "undecided" if difference == MARGIN else right_size
        wrong_size = ~np.isin(sizes, [right_size, "undecided"])
        rows.append(
            {
                "question": "on this dataset",
                "difference": difference,
                "families": n_families,
                "pairs": n_pairs,
                "covered": _share(((lows <= difference) & (difference <= highs)).all(axis=1)),
                "wrong_direction": _share(wrong_direction.any(axis=1)),
                "wrong_size": _share(wrong_size.any(axis=1)),
                "wrong": _share((wrong_direction | wrong_size).any(axis=1)),
                "decided_direction": _share(directions != "undecided"),
                "decided_size": _share(sizes != "undecided"),
            }
        )
    return rows


def simulate_new_data(
    n_datasets: int, random_state: int, pairs: Sequence[tuple[int, int]], repeats: int
) -> list[dict]:
    """Return how often the corrected test is wrong about classifiers that are equally good.

    Parameters
    ----------
    n_datasets, random_state : int
    pairs : sequence of (int, int)
        The pairs of a family, by the rows of `FEATURES`.
    repeats : int
        Of 10 folds each.

    Returns
    -------
    list of dict
        The rows of the table ``validation-answers`` for the family and for its first pair alone.
    """
    generator = np.random.default_rng(random_state)
    wrong = {len(pairs): [], 1: []}
    for _ in range(n_datasets):
        scores = nearest_centroid_scores(generator, repeats)
        differences = [100 * (scores[first] - scores[second]) for first, second in pairs]
        for n_pairs, found in wrong.items():
            intervals = [
                corrected_resampled_t(each, 1 / 9, family_level(n_pairs))
                for each in differences[:n_pairs]
            ]
            found.append([direction(each.low, each.high) != "undecided" for each in intervals])
    rows = []
    for n_pairs, found in wrong.items():
        row = {"question": "on new data", "difference": 0.0, "families": n_datasets}
        share = _share(np.any(found, axis=1))
        row |= {"pairs": n_pairs, "covered": 1 - share, "wrong_direction": share, "wrong": share}
        rows.append(row | {"decided_direction": _share(found)})
    return rows


def nearest_centroid_scores(
    generator: np.random.Generator, repeats: int, rows: int = 60, folds: int = 10
) -> np.ndarray:
    """Cross-validate four equally good classifiers on a dataset.

    Each sees other features (`FEATURES`), and predicts the class whose mean in the training rows
    is nearer.

    Returns
    -------
    array of shape (4, repeats * folds)
        Accuracies.
    """
    y = np.arange(rows) % 2
    X = generator.normal(size=(rows, FEATURES.shape[1])) + 0.4 * y[:, np.newaxis]
    fold_of = generator.permuted(np.tile(np.arange(rows) % folds, (repeats, 1)), axis=1)
    test = (fold_of[:, np.newaxis] == np.arange(folds)[:, np.newaxis]).reshape(-1, rows)
    means = []
    for label in (0, 1):
        train = ~test & (y == label)
        means.append(train @ X / train.sum(axis=1, keepdims=True))
    towards, middle = means[1] - means[0], (means[1] + means[0]) / 2
    # By split, row and feature; the features of each classifier are summed.
    scores = ((X - middle[:, np.newaxis]) * towards[:, np.newaxis]) @ FEATURES.T
    correct = (scores > 0) == y[:, np.newaxis]
    return np.mean(correct, axis=1, where=test[..., np.newaxis]).T


def expected_widths(
    first: pd.DataFrame, second: pd.DataFrame, sizes: Sequence[tuple[int, int]], n_pairs: dict
) -> list[dict]:
    """Return how wide the intervals of a difference would be with other numbers of runs.

    The variance of a single run's difference has a part of the splits, which more seeds on a
    split do not change, and a part of the seeds (analysis of variance with random effects).

    Parameters
    ----------
    first, second : DataFrame
        Per-fold tables with the same repeats; seeds that both have count.
    sizes : sequence of (repeats, seeds)
    n_pairs : dict of str to int
        The number of pairs in each family, by its name.
    """
    runs = (single_runs(first) - single_runs(second)).unstack("seed").dropna(axis=1)
    of_seeds = runs.var(axis=1, ddof=1).mean()
    of_splits = max(0.0, runs.mean(axis=1).var(ddof=1) - of_seeds / runs.shape[1])
    rows = []
    for repeats, seeds in sizes:
        error = np.sqrt((of_splits + of_seeds / seeds) / repeats)
        row = {"repeats": repeats, "seeds": seeds, "standard_error": error}
        for name, number in n_pairs.items():
            quantile = stats.t(repeats - 1).ppf((1 + family_level(number)) / 2)
            row[f"half_width_{name}"] = quantile * error
            # The interval of no difference lies within the margin.
            left = (MARGIN - quantile * error) / error
            row[f"decided_{name}"] = max(0.0, 2 * stats.norm.cdf(left) - 1)
        rows.append(row | {"share_of_seeds": of_seeds / (of_seeds + of_splits)})
    return rows


def _verdicts(lows, highs):
    """Return the directions and sizes of arrays of intervals."""
    ends = list(zip(lows.ravel(), highs.ravel(), strict=True))
    directions = np.array([direction(*each) for each in ends]).reshape(lows.shape)
    return directions, np.array([size(*each, MARGIN) for each in ends]).reshape(lows.shape)


def _share(mask):
    return float(np.mean(mask))


def paired_values(tables, pairs) -> np.ndarray:
    """Return the differences of pairs of per-fold tables, of shape (n_repeats, n_pairs)."""
    means = {name: single_runs(table).groupby("repeat").mean() for name, table in tables.items()}
    return np.column_stack([means[first] - means[second] for first, second in pairs])

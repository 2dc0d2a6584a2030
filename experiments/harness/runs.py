"""What per-fold tables show: single runs, means over repeats, pairs, and their re-runs."""

import numpy as np
import pandas as pd

from experiments.foldstack.comparison import (
    dataset_values,
    direction,
    family_level,
    paired_differences,
    simulate_reruns,
    size,
)
from experiments.harness.errors import InputError

MARGIN = 1.0  # differences below it do not matter; in points, 2 of 208 rows


def dataset_accuracies(folds: pd.DataFrame) -> np.ndarray:
    """Return the accuracies, in percent, that an interval of their mean is taken over."""
    by_split = 100 * folds.groupby(["repeat", "fold"])["accuracy"].mean()
    return dataset_values(by_split, by_split.index.get_level_values("repeat"))


def single_runs(folds: pd.DataFrame) -> pd.Series:
    """Return the accuracy, in percent, of every single run: what one reader would see.

    A run is one seed on all folds of a repeat; the index holds both.
    """
    return 100 * folds.groupby(["repeat", "seed"])["accuracy"].mean()


def pair_folds(first: pd.DataFrame, second: pd.DataFrame, score: str = "accuracy") -> pd.DataFrame:
    """Pair two tables fold by fold; a fold's score is the mean of its seeds."""
    folds = [
        table.groupby(["repeat", "fold"], as_index=False)[[score, "n_train", "n_test"]].mean()
        for table in (first, second)
    ]
    pairs = folds[0].merge(folds[1], on=["repeat", "fold"], validate="one_to_one")
    if not len(pairs) == len(folds[0]) == len(folds[1]):
        raise InputError("tables of different folds cannot be compared; run both again")
    scores = {"first": pairs[f"{score}_x"], "second": pairs[f"{score}_y"]}
    return pairs.assign(**scores, ratio=pairs["n_test_x"] / pairs["n_train_x"])


def verdicts(question: str, low: float, high: float) -> dict:
    """Return direction and size that an interval shows, under the names of their columns."""
    return {
        f"{question}_direction": direction(low, high),
        f"{question}_size": size(low, high, MARGIN),
    }


def simulate_verdicts(first: pd.DataFrame, second: pd.DataFrame, n_pairs: int) -> list[dict]:
    """Simulate the interval and verdicts on this dataset that re-runs of a pair would give.

    A re-run has another seed: other splits and other networks, but as many. The k-th re-runs of
    all pairs of a family are of the same repeats, so they can be judged together.

    Parameters
    ----------
    first, second : DataFrame
        Per-fold tables.
    n_pairs : int
        The number of pairs in the family.

    Returns
    -------
    list of dict
        With the keys ``dataset_low``, ``dataset_high``, ``dataset_direction``, ``dataset_size``.
    """
    folds = pair_folds(first, second)
    differences = paired_differences(folds["first"], folds["second"], scale=100)
    values = dataset_values(differences, folds["repeat"])
    reruns = simulate_reruns(values, confidence_level=family_level(n_pairs))
    return [
        {"dataset_low": low, "dataset_high": high} | verdicts("dataset", low, high)
        for low, high in zip(reruns.low.tolist(), reruns.high.tolist(), strict=True)
    ]

"""What the rows of a per-fold table stand for: single runs, and means over repeats."""

import numpy as np
import pandas as pd

from experiments.foldstack.comparison import average_repeats

MARGIN = 1.0  # differences below it do not matter; in points, 2 of 208 rows


def repeat_means(folds: pd.DataFrame) -> np.ndarray:
    """Return the accuracies, in percent, that an interval of their mean is taken over."""
    by_split = 100 * folds.groupby(["repeat", "fold"])["accuracy"].mean()
    return average_repeats(by_split, by_split.index.get_level_values("repeat"))


def single_runs(folds: pd.DataFrame) -> pd.Series:
    """Return the accuracy, in percent, of every single run: what one reader would see.

    A run is one seed on all folds of a repeat; the index holds both.
    """
    return 100 * folds.groupby(["repeat", "seed"])["accuracy"].mean()

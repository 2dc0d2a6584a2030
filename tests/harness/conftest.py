"""Tables of scores made by hand."""

import numpy as np
import pandas as pd


def single_run_table(runs):
    """Return a per-fold table with one fold, from accuracies of shape (n_repeats, n_seeds)."""
    n_repeats, n_seeds = runs.shape
    return pd.DataFrame(
        {
            "repeat": np.repeat(np.arange(1, n_repeats + 1), n_seeds),
            "fold": 1,
            "seed": np.tile(np.arange(1, n_seeds + 1), n_repeats),
            "accuracy": runs.ravel(),
        }
    )

"""Search a grid as a user's script does, with foldstack installed, for `make benchmark` to time.

The first argument says how: ``grid`` is scikit-learn's search over scikeras' classifier,
``stacked`` is foldstack's.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import pandas as pd
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

if "grid" in sys.argv:
    import tensorflow  # noqa: F401  # first, as a user of scikeras would have it
    from foldstack import build_network
    from scikeras.wrappers import KerasClassifier
else:
    from foldstack import StackedSearchCV, build_pipeline

GRID = {
    "hidden_units": [(60, 30), (60,), (30,)],
    "hidden_dropout": [0.0, 0.2, 0.4],
    "learning_rate": [0.003, 0.01, 0.03, 0.1],
}
SETTINGS = {"hidden_units": (60, 30), "learning_rate": 0.01, "hidden_dropout": 0.0}


def grid_search(options):
    """Return scikit-learn's search."""
    settings = {f"model__{name}": value for name, value in SETTINGS.items()}
    network = KerasClassifier(
        build_network, epochs=options.epochs, batch_size=16, verbose=0, **settings
    )
    grid = {f"kerasclassifier__model__{name}": values for name, values in GRID.items()}
    return GridSearchCV(make_pipeline(StandardScaler(), network), grid, n_jobs=options.jobs)


def stacked_search(options):
    """Return foldstack's search."""
    grid = {f"mlp__model__{name}": values for name, values in GRID.items()}
    return StackedSearchCV(build_pipeline(epochs=options.epochs), grid, n_jobs=options.jobs)


def main():
    """Search by a shuffled 5-fold cross-validation; write the seconds taken and the scores."""
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=["grid", "stacked"])
    for name in ("--data", "--results"):
        parser.add_argument(name, type=Path)
    for name in ("--jobs", "--seed", "--epochs"):
        parser.add_argument(name, type=int)
    options = parser.parse_args()
    table = pd.read_csv(options.data, header=None)
    X, y = table.iloc[:, :-1], table.iloc[:, -1] == "R"
    started = time.perf_counter()
    search = grid_search(options) if options.way == "grid" else stacked_search(options)
    search.set_params(cv=StratifiedKFold(5, shuffle=True, random_state=options.seed))
    search.fit(X, y)
    seconds = {"training": time.perf_counter() - started}
    found = {"seconds": seconds, "scores": search.cv_results_["mean_test_score"].tolist()}
    (options.results / "search.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()

"""Train networks as users of other tools would, for `make benchmark` to time.

Run as a script, this module cross-validates scikit-learn's own network.
"""

import argparse
import json
import os
import time
import warnings
from pathlib import Path

from sklearn.base import BaseEstimator
from sklearn.model_selection import RepeatedStratifiedKFold, StratifiedKFold, cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from experiments.harness.dataset import read_dataset

SETTINGS = {"hidden_units": (60, 30), "learning_rate": 0.01, "momentum": 0.8}  # the baseline's
GRID = {
    "hidden_units": [(60, 30), (60,), (30,)],
    "hidden_dropout": [0.0, 0.2, 0.4],
    "learning_rate": [0.003, 0.01, 0.03, 0.1],
}


def main():
    """Cross-validate `MLPClassifier` with the baseline's settings."""
    options = parse_options()
    classifier = MLPClassifier(
        SETTINGS["hidden_units"],
        solver="sgd",
        learning_rate_init=SETTINGS["learning_rate"],
        momentum=SETTINGS["momentum"],
        nesterovs_momentum=False,
        alpha=0,
        batch_size=16,
        max_iter=options.epochs,
        n_iter_no_change=options.epochs + 1,
        random_state=options.seed,
    )
    warnings.simplefilter("ignore")  # it has not converged
    os.environ["PYTHONWARNINGS"] = "ignore"
    time_cross_validation(classifier, options)


def parse_options():
    """Parse the options that `make benchmark` passes."""
    parser = argparse.ArgumentParser()
    for name in ("--data", "--results", "--scores"):
        parser.add_argument(name, type=Path)
    for name in ("--repeats", "--jobs", "--seed", "--epochs"):
        parser.add_argument(name, type=int)
    return parser.parse_args()


def time_cross_validation(classifier, options):
    """Cross-validate standardisation and a classifier, and write the seconds taken."""
    data = read_dataset(options.data, folds=10)
    folds = RepeatedStratifiedKFold(
        n_splits=10, n_repeats=options.repeats, random_state=options.seed
    )
    pipeline = make_pipeline(StandardScaler(), classifier)
    started = time.perf_counter()
    cross_val_score(pipeline, data.X, data.y == "R", cv=folds, n_jobs=options.jobs)
    seconds = {"training": time.perf_counter() - started}
    (options.results / "seconds.json").write_text(json.dumps({"seconds": seconds}))


def time_search(search: BaseEstimator, options):
    """Search by a shuffled 5-fold cross-validation; write the seconds taken and the scores."""
    data = read_dataset(options.data, folds=5)
    search.set_params(cv=StratifiedKFold(5, shuffle=True, random_state=options.seed))
    started = time.perf_counter()
    search.fit(data.X, data.y == "R")
    seconds = {"training": time.perf_counter() - started}
    (options.results / "seconds.json").write_text(json.dumps({"seconds": seconds}))
    options.scores.write_text(json.dumps(search.cv_results_["mean_test_score"].tolist()))


if __name__ == "__main__":
    main()

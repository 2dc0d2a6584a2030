"""Train networks as users of other tools would, for `make benchmark` to time.

Run as a script, this module cross-validates scikit-learn's own network.
"""

import argparse
import json
import os
import time
import warnings
from pathlib import Path

from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from experiments.harness.dataset import read_dataset

SETTINGS = {"hidden_units": (60, 30), "learning_rate": 0.01, "momentum": 0.8}  # the baseline's


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
    for name in ("--data", "--results"):
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


if __name__ == "__main__":
    main()

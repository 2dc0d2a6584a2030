"""Engine check: does the stacked engine score as the tutorial's way does?

Both engines cross-validate the same arms on the same splits. Their networks draw their weights
and masks from different random numbers, so single folds differ, and the means may differ by
chance. The stacked engine, which is cheap, trains every fold ten times, each from another seed,
so that nearly all of the remaining chance is the reference's. The difference should lie within
two standard errors; over four arms it will not, by chance, about once in six runs.

    $ make validate
    baseline: stacked 85.50%, scikit-learn 84.73%, difference +0.77 (standard error 0.86)
    ...

Then StackedSearchCV and scikit-learn's GridSearchCV search a small grid on the same folds: they
should rank its settings alike, within the noise of seeds.

Takes 10 to 30 minutes on 2 cores, nearly all of it the tutorial's way.
"""

import sys

import numpy as np
import pandas as pd
from sklearn.model_selection import GridSearchCV

from experiments import foldstack
from experiments.arms import ARMS
from experiments.foldstack.comparison import holm, t_interval
from experiments.harness.errors import InputError
from experiments.harness.runner import run

STACKED_SEEDS = 10
GRID = {
    "mlp__model__hidden_dropout": [0.0, 0.2, 0.5, 0.8],
    "mlp__model__learning_rate": [0.01],
    "mlp__model__momentum": [0.9],
}


def main(argv=None):
    """Compare the stacked engine and search with scikit-learn's."""
    run("validate", __doc__, validate, argv, check=check_folds)


def check_folds(this):
    """Check that there are two folds to take a standard error from."""
    if this.options.repeats * this.options.folds < 2:
        raise InputError("a standard error needs two folds")


def validate(this):
    """Run the parts that the options ask for."""
    if this.options.part != "engines":
        validate_search(this)
    if this.options.part != "search":
        validate_engines(this)


def validate_engines(this):
    """Cross-validate every arm with both engines."""
    rows = []
    for name, settings in ARMS.items():
        pipeline = this.pipeline(settings)
        accuracy = {}
        for engine, times in (("stacked", STACKED_SEEDS), ("scikit-learn", 1)):
            splits = times * this.splits  # each with a seed of its own
            with this.progress(len(splits), f"{name}, {engine}") as progress:
                scores = this.cross_validate(pipeline, splits, engine=engine, progress=progress)
            by_split = scores["test_score"].reshape(times, len(this.splits))
            accuracy[engine] = by_split.mean(axis=0)
        row = {
            "experiment": name,
            "repeats": this.options.repeats,
            "folds": this.options.folds,
            "stacked_seeds": STACKED_SEEDS,
        } | paired_row("stacked", accuracy["stacked"], "scikit_learn", accuracy["scikit-learn"])
        row["within_two"] = int(abs(row["difference"]) <= 2 * row["standard_error"])
        rows.append(row)
        print_row(name, row, ("stacked", "stacked"), ("scikit-learn", "scikit_learn"))
    path = this.write({"validation": pd.DataFrame(rows)}, stacked_seeds=STACKED_SEEDS)
    print(f"  written:   {path}")
    if not all(row["within_two"] for row in rows):
        sys.exit("validate: a difference lies beyond two standard errors")


def validate_search(this):
    """Search a small grid with `StackedSearchCV` and `GridSearchCV` on the same folds."""
    splits = this.splits[: this.options.folds]
    n_jobs, data = this.options.jobs, this.data
    stacked = foldstack.StackedSearchCV(
        this.pipeline(), GRID, cv=splits, random_state=this.options.seed, n_jobs=n_jobs
    ).fit(data.X, data.y)
    grid = GridSearchCV(this.pipeline(), GRID, cv=splits, n_jobs=n_jobs, refit=False)
    grid.fit(data.X, data.y)
    rows, p_values = [], []
    for candidate in grid.cv_results_["params"]:
        first, second = (scores_of(search.cv_results_, candidate) for search in (stacked, grid))
        dropout = candidate["mlp__model__hidden_dropout"]
        row = {"hidden_dropout": dropout, "folds": len(splits)}
        rows.append(row | paired_row("stacked_search", first, "grid_search", second))
        p_values.append(t_interval(first - second).p)
        names = ("StackedSearchCV", "stacked_search"), ("GridSearchCV", "grid_search")
        print_row(f"search, {dropout:.0%} dropout", rows[-1], *names)
    table = pd.DataFrame(rows).assign(p_holm=holm(p_values))
    path = this.write({"validation-search": table}, grid=GRID)
    print(f"  written:   {path}")
    if table["p_holm"].min() < 0.05:
        sys.exit("validate: the searches differ by more than the noise of seeds")


def scores_of(results, candidate):
    """Return a candidate's scores by fold from `cv_results_`."""
    number = results["params"].index(candidate)
    folds = sum(name.startswith("split") for name in results)
    return np.array([results[f"split{fold}_test_score"][number] for fold in range(folds)])


def paired_row(first_name, first, second_name, second):
    """Return the means of paired accuracies, their difference and its standard error."""
    difference = first - second
    return {
        first_name: first.mean(),
        second_name: second.mean(),
        "difference": difference.mean(),
        "standard_error": difference.std(ddof=1) / np.sqrt(len(difference)),
    }


def print_row(name, row, *ways):
    """Print the means and their difference."""
    means = ", ".join(f"{label} {row[column]:.2%}" for label, column in ways)
    print(
        f"{name}: {means}, difference {100 * row['difference']:+.2f} "
        f"(standard error {100 * row['standard_error']:.2f})",
        flush=True,
    )


if __name__ == "__main__":
    main()

"""Validate: does the stacked engine score as the tutorial's way does?

Both engines cross-validate the same arms on the same splits. Their networks draw their
weights and masks from different random numbers, so single folds differ; the means may
differ by chance alone. The stacked engine, which costs little, trains every fold ten
times, each from another seed, so that the chance left is nearly all the reference's. The
difference should lie within two standard errors; over four arms it will not, by chance,
about once in six runs.

    $ make validate
    baseline: stacked 85.50%, scikit-learn 84.73%, difference +0.77 (standard error 0.86)
    ...

Then StackedSearchCV searches a small grid, and scikit-learn's GridSearchCV the same one on
the same folds: they should rank its settings alike, within the noise of seeds.

It takes 10 to 30 minutes on 2 cores, nearly all of it the tutorial's way.
"""

import sys

from experiments.harness.cli import add_experiment_options, answer_mistakes, script_parser
from experiments.harness.errors import InputError

STACKED_SEEDS = 10
GRID = {
    "mlp__model__hidden_dropout": [0.0, 0.2, 0.5, 0.8],
    "mlp__model__learning_rate": [0.01],
    "mlp__model__momentum": [0.9],
}


def main(argv=None):
    """Cross-validate every arm with both engines and compare."""
    parser = script_parser("validate", __doc__)
    add_experiment_options(parser, leave_out=("scheduler", "engine", "curves", "verbose"))
    parser.set_defaults(repeats=5)
    parser.add_argument("--part", choices=["engines", "search", "all"], default="all",
                        help="what to hold to scikit-learn (default: %(default)s)")  # fmt: skip
    options = parser.parse_args(argv)
    answer_mistakes("validate", lambda: _validate(options))


def _validate(options):
    from experiments.harness.dataset import read_dataset

    data = read_dataset(options.data, folds=options.folds, target=options.target)
    if options.repeats * options.folds < 2:
        raise InputError("a standard error needs two folds")

    from experiments.harness import files

    files.check_folder(options.results)
    if options.part != "engines":
        _validate_search(options, data)
    if options.part != "search":
        _validate_engines(options, data)


def _validate_engines(options, data):
    import numpy as np
    import pandas as pd

    from experiments.arms import ARMS
    from experiments.foldstack.classifier import build_pipeline
    from experiments.foldstack.cross_validation import cross_validate, repeated_splits
    from experiments.harness import store as tables
    from experiments.harness.progress import progress_bar
    from experiments.harness.runner import record_of

    splits = repeated_splits(
        data.X, data.y, folds=options.folds, repeats=options.repeats, seed=options.seed
    )
    rows = []
    for name, settings in ARMS.items():
        pipeline = build_pipeline(settings, epochs=options.epochs, random_state=options.seed)
        accuracy = {}
        for engine, times in (("stacked", STACKED_SEEDS), ("scikit-learn", 1)):
            with progress_bar(f"{name}, {engine}", times * len(splits)) as progress:
                scores = cross_validate(
                    pipeline, data.X, data.y, times * splits,  # every one with its own seed
                    engine=engine, jobs=options.jobs, progress=progress,
                )["test_score"]  # fmt: skip
            accuracy[engine] = scores.reshape(times, len(splits)).mean(axis=0)
        difference = accuracy["stacked"] - accuracy["scikit-learn"]
        row = {
            "experiment": name,
            "repeats": options.repeats,
            "folds": options.folds,
            "stacked_seeds": STACKED_SEEDS,
            "stacked": accuracy["stacked"].mean(),
            "scikit_learn": accuracy["scikit-learn"].mean(),
            "difference": difference.mean(),
            "standard_error": difference.std(ddof=1) / np.sqrt(len(difference)),
        }
        row["within_two"] = int(abs(row["difference"]) <= 2 * row["standard_error"])
        rows.append(row)
        print(
            f"{name}: stacked {row['stacked']:.2%}, scikit-learn {row['scikit_learn']:.2%}, "
            f"difference {100 * row['difference']:+.2f} "
            f"(standard error {100 * row['standard_error']:.2f})",
            flush=True,
        )
    record = record_of("validation", options, data, splits, stacked_seeds=STACKED_SEEDS)
    path = tables.write_table(options.results, "validation", pd.DataFrame(rows), record)
    print(f"  written:   {path}")
    if not all(row["within_two"] for row in rows):
        sys.exit("validate: a difference lies beyond two standard errors")


def _validate_search(options, data):
    """Search a small grid with `StackedSearchCV` and `GridSearchCV`, on the same folds."""
    import numpy as np
    import pandas as pd
    from sklearn.model_selection import GridSearchCV

    from experiments.foldstack.classifier import build_pipeline
    from experiments.foldstack.cross_validation import repeated_splits
    from experiments.foldstack.model_selection import StackedSearchCV
    from experiments.foldstack.statistics import holm, t_estimate
    from experiments.harness import store as tables
    from experiments.harness.runner import record_of

    splits = repeated_splits(data.X, data.y, folds=options.folds, repeats=1, seed=options.seed)

    class Folds:  # as they are, for either
        def split(self, X, y=None, groups=None):
            return iter(splits)

        def get_n_splits(self, X=None, y=None, groups=None):
            return len(splits)

    pipeline = build_pipeline({}, epochs=options.epochs, random_state=options.seed)
    ours = StackedSearchCV(
        pipeline, GRID, cv=Folds(), random_state=options.seed, jobs=options.jobs
    ).fit(data.X, data.y)
    theirs = GridSearchCV(pipeline, GRID, cv=Folds(), n_jobs=options.jobs, refit=False)
    theirs.fit(data.X, data.y)
    rows, p_values = [], []
    for number, candidate in enumerate(theirs.cv_results_["params"]):
        place = ours.cv_results_["params"].index(candidate)
        by_fold = [
            [results.cv_results_[f"split{fold}_test_score"][at] for fold in range(len(splits))]
            for results, at in ((ours, place), (theirs, number))
        ]
        difference = np.subtract(*by_fold)
        error = difference.std(ddof=1) / np.sqrt(len(splits))
        p_values.append(t_estimate(difference).p)
        rows.append(
            {
                "hidden_dropout": candidate["mlp__model__hidden_dropout"],
                "folds": len(splits),
                "stacked_search": np.mean(by_fold[0]),
                "grid_search": np.mean(by_fold[1]),
                "difference": difference.mean(),
                "standard_error": error,
            }
        )
        print(
            f"search, {rows[-1]['hidden_dropout']:.0%} dropout: StackedSearchCV "
            f"{np.mean(by_fold[0]):.2%}, GridSearchCV {np.mean(by_fold[1]):.2%}, difference "
            f"{100 * difference.mean():+.2f} (standard error {100 * error:.2f})",
            flush=True,
        )
    record = record_of("validation-search", options, data, splits, grid=GRID)
    table = pd.DataFrame(rows).assign(p_holm=holm(p_values))
    path = tables.write_table(options.results, "validation-search", table, record)
    print(f"  written:   {path}")
    if table["p_holm"].min() < 0.05:
        sys.exit("validate: the searches differ by more than the noise of seeds")


if __name__ == "__main__":
    main()

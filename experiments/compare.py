"""Compare: is an arm better than another, on these returns and for new ones?

Runs the arms that have no results yet, with the options of those that have. Then every
pair is compared fold by fold, two questions apart: *on these 208 returns*, averaged over
splits and seeds (more repeats sharpen the answer), and *for new returns* (they cannot; 208
rows decide). A verdict is better or worse where p < 0.05 after Holm's correction over the
family of pairs.

For context, on the same splits: always guessing the commoner class, and scikit-learn's
support vector machine (RBF kernel, default settings).

    $ make compare
    visible against baseline: +0.4 points
      on these 208 rows   -0.5 to  +1.2   too close to call
      for new rows        -4.9 to  +5.6   too close to call
    ...
"""

from experiments.harness.cli import add_experiment_options, answer_mistakes, script_parser

PAIRS = {
    "arms": [
        ("visible", "baseline"),
        ("hidden", "baseline"),
        ("control", "baseline"),
        ("visible", "control"),
        ("hidden", "control"),
    ],
    "context": [(arm, "svc") for arm in ("baseline", "visible", "hidden", "control")],
}


def main(argv=None):
    """Compare the arms."""
    parser = script_parser("compare", __doc__)
    add_experiment_options(parser)
    options = parser.parse_args(argv)
    answer_mistakes("compare", lambda: _compare(options, parser.get_default))


def _compare(options, default):
    from experiments.harness.dataset import read_dataset

    data = read_dataset(options.data, folds=options.folds, target=options.target)

    from experiments.harness import files
    from experiments.harness import store as tables

    files.check_folder(options.results)

    from experiments.arms import ARMS
    from experiments.harness.errors import InputError
    from experiments.harness.runner import cross_validate_arm

    there = list(tables.read_arms(options.results))
    if there:  # the others are to match them
        record = tables.read_record(options.results, there[0])
        for key in ("repeats", "folds", "epochs", "seed", "engine"):
            if getattr(options, key) not in (default(key), record[key]):
                raise InputError(
                    f"{options.results / there[0]}.csv has {key} {record[key]}, not "
                    f"{getattr(options, key)}; run the arms again, or compare without --{key}"
                )
            setattr(options, key, record[key])
        _check_data(options, record, data)
    if options.repeats < 2:
        raise InputError("a comparison needs at least 2 repeats")
    for name, settings in ARMS.items():
        if name not in there:
            cross_validate_arm(name, settings, options)
    with files.locked(options.results):
        _compare_tables(options, data)


def _check_data(options, record, data):
    """Make sure that tables are of the data in use."""
    from experiments.harness import store as tables
    from experiments.harness.errors import InputError

    if tables.data_identity(record) != tables.data_identity({"data": data.origin()}):
        raise InputError(
            f"the tables in {options.results} are not of {options.data}; "
            "say of which with --data, or run the arms again"
        )


def _compare_tables(options, data):
    """Compare the arms as they are, and write what comes out."""
    import pandas as pd

    from experiments.arms import ARMS
    from experiments.foldstack.comparison import check_comparable, compare_pairs
    from experiments.harness import store as tables
    from experiments.harness.provenance import provenance

    arms = {name: tables.read_arm(options.results, name) for name in ARMS}
    records = {name: tables.read_record(options.results, name) for name in ARMS}
    check_comparable(records)
    record = records["baseline"]
    _check_data(options, record, data)

    context = _score_context(data, record)
    arms |= dict(list(context.groupby("experiment")))
    families = [compare_pairs(arms, pairs).assign(family=family) for family, pairs in PAIRS.items()]
    if (options.results / "remedies.csv").exists():
        remedies = tables.read_table(options.results, "remedies")
        check_comparable(
            {"baseline": record, "remedies": tables.read_record(options.results, "remedies")},
            but=["the number of epochs"],
        )
        families += _compare_remedies(remedies, arms)

    origin = {key: record[key] for key in ("repeats", "folds", "epochs", "seed", "data",
                                           "splits_sha256", "engine", "versions")}  # fmt: skip
    origin["commit"] = provenance()["commit"]
    origin["tables"] = {
        name: checksum
        for name in (*ARMS, "remedies")
        if (checksum := tables.checksum(options.results, name))
    }
    comparison = pd.concat(families, ignore_index=True)
    comparison.insert(0, "family", comparison.pop("family"))
    frames = {"context": context, "comparison": comparison}
    path = tables.write_tables(options.results, frames, origin)
    for row in comparison[comparison["family"].isin(PAIRS)].itertuples():
        print(f"{row.first} against {row.second}: {row.difference:+.1f} points")
        print(f"  on these {len(data.y)} rows  {row.these_low:+5.1f} to {row.these_high:+5.1f}"
              f"   {row.these_verdict}")  # fmt: skip
        print(f"  for new rows       {row.new_low:+5.1f} to {row.new_high:+5.1f}"
              f"   {row.new_verdict}")  # fmt: skip
    print(f"  written:   {path}")


def _score_context(data, record):
    """Score the majority class and a support vector machine on the arms' splits."""
    import pandas as pd
    from sklearn.dummy import DummyClassifier
    from sklearn.model_selection import cross_validate
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    from experiments.foldstack.cross_validation import repeated_splits

    splits = repeated_splits(
        data.X, data.y, folds=record["folds"], repeats=record["repeats"], seed=record["seed"]
    )
    number = pd.RangeIndex(len(splits))
    estimators = {
        "majority": DummyClassifier(strategy="most_frequent"),
        "svc": make_pipeline(StandardScaler(), SVC(kernel="rbf")),
    }
    return pd.concat(
        pd.DataFrame(
            {
                "experiment": name,
                "repeat": number // record["folds"] + 1,
                "fold": number % record["folds"] + 1,
                "n_train": [len(train) for train, _ in splits],
                "n_test": [len(test) for _, test in splits],
                "accuracy": cross_validate(estimator, data.X, data.y, cv=splits)["test_score"],
            }
        )
        for name, estimator in estimators.items()
    )


def _compare_remedies(remedies, arms):
    """Compare each remedy with the baseline and with the hidden arm that it is to mend."""
    from experiments.foldstack.comparison import compare_pairs
    from experiments.hidden import SETTINGS as HIDDEN

    unchanged = HIDDEN["learning_rate"], remedies["epochs"].min()
    settings = {
        f"hidden, learning rate {rate:g}, {epochs} epochs": rows
        for (rate, epochs), rows in remedies.groupby(["learning_rate", "epochs"])
        if (rate, epochs) != unchanged
    }
    return [
        compare_pairs(settings | arms, [(name, other) for name in settings]).assign(family=family)
        for other, family in (("baseline", "remedies"), ("hidden", "remedies on hidden"))
    ]


if __name__ == "__main__":
    main()

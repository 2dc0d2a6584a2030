"""Compare: is an arm better than another, on this dataset and on new data?

Runs the arms that have no results yet, with the options of those that have. Then every pair is
compared fold by fold, answering two questions: *on this dataset*, averaged over splits and seeds
(more repeats sharpen the answer), and *on new data* (more repeats do not; 208 rows are few). A
verdict is better or worse where p < 0.05 after Holm's correction over the family of pairs.

For context, on the same splits: always predicting the majority class, and scikit-learn's
support vector machine (RBF kernel, default parameters).

    $ make compare
    visible against baseline: +0.4 points
      on this dataset   -0.5 to  +1.2   too close to call
      on new data       -4.9 to  +5.6   too close to call
    ...
"""

import pandas as pd

from experiments.arms import ARMS, HIDDEN
from experiments.harness import store
from experiments.harness.context import score_references
from experiments.harness.errors import InputError
from experiments.harness.files import locked
from experiments.harness.paired import check_comparable, compare_pairs
from experiments.harness.runner import Run, check_arm, cross_validate_arm, script
from experiments.harness.settings import COMMANDS

PAIRS = {
    "arms": [
        *((arm, "baseline") for arm in ("visible", "hidden", "control")),
        *((arm, "control") for arm in ("visible", "hidden")),
    ],
    "context": [(arm, "svc") for arm in ARMS],
}
SHARED_OPTIONS = ("repeats", "folds", "epochs", "seed", "engine")


def adopt_options(this):
    """Take the options from the arms that have results, so that the others match them."""
    options = this.options
    if present := list(store.read_arms(this.results)):
        metadata = store.read_metadata(this.results, present[0])
        for key in SHARED_OPTIONS:
            given, expected = getattr(options, key), metadata[key]
            if given not in (COMMANDS["compare"].default(key), expected):
                has = f"{this.results / present[0]}.csv has {key} {expected}, not {given}"
                raise InputError(f"{has}; run the arms again, or compare without --{key}")
            setattr(options, key, expected)
        check_dataset(this, metadata)
    if options.repeats < 2:
        raise InputError("a comparison needs at least 2 repeats")


def check_dataset(this, metadata):
    """Check that tables were computed from the dataset in use."""
    if store.dataset_fingerprint(metadata) != this.data.origin() | {"file": ""}:
        computed = f"the tables in {this.results} were not computed from {this.options.data}"
        raise InputError(f"{computed}; name their dataset with --data, or run the arms again")


def compare_arms(this):
    """Run the missing arms, compare all pairs, write and print the comparison."""
    present = store.read_arms(this.results)
    for name, settings in ARMS.items():
        if name not in present:
            arm = Run(name, this.options)
            check_arm(arm)
            cross_validate_arm(arm, settings)
    with locked(this.results):
        write_comparison(this)


def write_comparison(this):
    """Compare the tables as they are now."""
    arms = store.read_arms(this.results)
    metadata = {name: store.read_metadata(this.results, name) for name in ARMS}
    check_comparable(metadata)
    check_dataset(this, metadata["baseline"])
    context = score_references(this.data, this.splits, this.fold_columns())
    tables = arms | dict(list(context.groupby("experiment")))
    families = [compare_pairs(tables, pairs).assign(family=name) for name, pairs in PAIRS.items()]
    if store.exists(this.results, "remedies"):
        remedies = store.read_table(this.results, "remedies")
        metadata["remedies"] = store.read_metadata(this.results, "remedies")
        check_comparable(metadata, ignore=["the number of epochs"])
        families += compare_remedies(remedies, arms)
    comparison = pd.concat(families, ignore_index=True)
    comparison.insert(0, "family", comparison.pop("family"))
    checksums = {name: store.checksum(this.results, name) for name in metadata}
    path = this.write({"context": context, "comparison": comparison}, tables=checksums)
    for row in comparison[comparison["family"].isin(PAIRS)].itertuples():
        print(f"{row.first} against {row.second}: {row.difference:+.1f} points")
        dataset = (row.dataset_low, row.dataset_high, row.dataset_verdict)
        new_data = (row.new_data_low, row.new_data_high, row.new_data_verdict)
        print("  on this dataset  {:+5.1f} to {:+5.1f}   {}".format(*dataset))
        print("  on new data      {:+5.1f} to {:+5.1f}   {}".format(*new_data))
    print(f"  written:   {path}")


def compare_remedies(remedies, arms):
    """Compare each remedy with the baseline, and with the hidden arm that it should improve."""
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


main = script("compare", __doc__, compare_arms, check=adopt_options)

if __name__ == "__main__":
    main()

"""Compare: is an arm better than another, on this dataset and on new data?

Runs the arms that have no results yet, with the options of those that have. Then every pair is
compared fold by fold, answering two questions: *on this dataset*, averaged over splits and seeds
(more repeats sharpen the answer), and *on new data* (more repeats do not; 208 rows are few). The
95% intervals hold for all pairs of a family at once. Each gives two verdicts: the direction
(better, worse or undecided), and the size (less or more than one point apart, or undecided).
*Near the edge* is a verdict that more than 5% of re-runs with other seeds would not give.

For context, on the same splits: always predicting the majority class, and scikit-learn's
support vector machine (RBF kernel, default parameters).

    $ make compare
    visible against baseline: +0.6 points
      on this dataset   +0.3 to  +0.9   better, less than a point apart (near the edge)
      on new data       -3.9 to  +5.1   undecided
    ...
"""

import pandas as pd

from experiments.arms import ARMS, PAIRS
from experiments.harness import store
from experiments.harness.context import score_references
from experiments.harness.errors import InputError
from experiments.harness.files import locked
from experiments.harness.paired import check_comparable, check_repeats, compare_pairs
from experiments.harness.runner import Run, check_arm, cross_validate_arm, script
from experiments.harness.runs import MARGIN
from experiments.harness.settings import COMMANDS
from experiments.reporting.pages import comparison_summary

SHARED_OPTIONS = ("repeats", "seeds", "folds", "epochs", "seed", "engine")


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
    check_repeats(options.repeats)


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
    families = {"arms": PAIRS, "context": [(arm, "svc") for arm in ARMS]}
    for name, column in (("stopping", "experiment"), ("remedies", "remedy")):
        if store.exists(this.results, name):
            metadata[name] = store.read_metadata(this.results, name)
            groups = store.read_table(this.results, name).groupby(column, sort=False)
            tables |= dict(list(groups))
            families[name] = [(first, "baseline") for first in groups.groups]
            if name == "remedies":
                families["remedies on hidden"] = [(first, "hidden") for first in groups.groups]
    check_comparable(metadata)
    frames = [compare_pairs(tables, pairs).assign(family=name) for name, pairs in families.items()]
    comparison = pd.concat(frames, ignore_index=True)
    comparison.insert(0, "family", comparison.pop("family"))
    checksums = {name: store.checksum(this.results, name) for name in metadata}
    frames = {"context": context, "comparison": comparison}
    path = this.write(frames, tables=checksums, margin=MARGIN)
    print(*comparison_summary(comparison), f"  written:   {path}", sep="\n")


main = script("compare", __doc__, compare_arms, check=adopt_options)

if __name__ == "__main__":
    main()

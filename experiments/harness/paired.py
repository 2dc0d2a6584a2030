"""Compare per-fold tables pair by pair, fold by fold."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from experiments.foldstack.comparison import Comparison, compare, family_level
from experiments.harness.errors import InputError
from experiments.harness.runs import pair_folds, simulate_verdicts, verdicts
from experiments.harness.store import dataset_fingerprint

SHARED = {  # what is shared: its key in the metadata
    "the dataset": "data",
    "the number of repeats": "repeats",
    "the number of folds": "folds",
    "the splits": "splits_sha256",
    "the number of epochs": "epochs",
    "the engine": "engine",
    "the versions of the packages": "versions",
}


def check_comparable(metadata: Mapping[str, dict], ignore: Collection[str] = ()) -> None:
    """Raise `InputError` if tables differ in a key of `SHARED` that is not in `ignore`."""
    metadata = {name: each | {"data": dataset_fingerprint(each)} for name, each in metadata.items()}
    (first, expected), *others = metadata.items()
    for what, key in SHARED.items():
        for name, other in others:
            if what not in ignore and other[key] != expected[key]:
                raise InputError(
                    f"{first} and {name} differ in {what}, so they cannot be compared; "
                    "run both with the same options"
                )
    check_repeats(expected["repeats"])


def check_repeats(repeats: int) -> None:
    """Raise `InputError` if there are too few repeats to compare anything."""
    if repeats < 2:
        raise InputError("a comparison needs at least 2 repeats")


def compare_tables(
    first: pd.DataFrame, second: pd.DataFrame, score="accuracy", scale=100, confidence_level=0.95
) -> Comparison:
    """Compare a score of two per-fold tables, times `scale`: see `foldstack.compare`."""
    pairs = pair_folds(first, second, score)
    return compare(
        pairs["first"],
        pairs["second"],
        repeats=pairs["repeat"],
        test_train_ratio=pairs["ratio"].mean(),
        scale=scale,
        confidence_level=confidence_level,
    )


def compare_pairs(
    tables: Mapping[str, pd.DataFrame], pairs: Sequence[tuple[str, str]]
) -> pd.DataFrame:
    """Compare a family of pairs of per-fold tables, one row per pair.

    The 95% intervals hold for all pairs of the family at once, the verdicts are theirs, and the
    p-values are corrected alike (Bonferroni). ``rerun_…`` are the shares of re-runs that would
    give another verdict, see `simulate_verdicts`; ``collapsed_p`` is that of Fisher's exact test.
    """
    level, rows = family_level(len(pairs)), []
    for names in pairs:
        first, second = (tables[name] for name in names)
        row = dict(zip(("first", "second"), names, strict=True))
        row |= compare_tables(first, second, confidence_level=level)._asdict()
        row |= verdicts("dataset", row["dataset_low"], row["dataset_high"])
        row |= dict.fromkeys(("rerun_direction", "rerun_size"))  # the order of the columns
        row |= verdicts("new_data", row["new_data_low"], row["new_data_high"])
        reruns = simulate_verdicts(first, second, len(pairs))
        for verdict in ("direction", "size"):
            name = f"dataset_{verdict}"
            row[f"rerun_{verdict}"] = np.mean([each[name] != row[name] for each in reruns])
        rows.append(row | _compare_collapsed(first, second))
    frame = pd.DataFrame(rows)
    for name in ("dataset_p", "new_data_p", "collapsed_p"):
        frame[name] = (len(pairs) * frame[name]).clip(upper=1)
    return frame


def _compare_collapsed(first, second):
    """Compare the numbers of collapsed networks, taken as independent.

    References other than networks have none.
    """
    sides = {"first": first, "second": second}
    row = {f"{side}_networks": len(table) for side, table in sides.items()}
    if not all("collapsed" in table for table in sides.values()):
        return row | dict.fromkeys(("first_collapsed", "second_collapsed", "collapsed_p"), np.nan)
    numbers = {side: int(table["collapsed"].sum()) for side, table in sides.items()}
    counts = [[number, len(sides[side]) - number] for side, number in numbers.items()]
    row |= {f"{side}_collapsed": number for side, number in numbers.items()}
    return row | {"collapsed_p": stats.fisher_exact(counts).pvalue}

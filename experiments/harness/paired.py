"""Compare per-fold tables pair by pair, fold by fold."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from experiments.foldstack.comparison import (
    Comparison,
    average_repeats,
    compare,
    direction,
    family_level,
    simulate_reruns,
    size,
)
from experiments.harness.errors import InputError
from experiments.harness.runs import MARGIN
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
    if expected["repeats"] < 2:
        raise InputError("a comparison needs at least 2 repeats; run the arms with more")


def compare_tables(
    first: pd.DataFrame, second: pd.DataFrame, score="accuracy", scale=100, confidence_level=0.95
) -> Comparison:
    """Compare a score of two per-fold tables, times `scale`: see `foldstack.compare`."""
    pairs = _pair(first, second, score)
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
    p-values are corrected alike (Bonferroni). ``rerun_…`` are the shares of re-runs with other
    seeds that would give another verdict, ``collapsed_p`` is that of Fisher's exact test.
    """
    level, rows = family_level(len(pairs)), []
    for names in pairs:
        first, second = (tables[name] for name in names)
        found = compare_tables(first, second, confidence_level=level)
        dataset, new_data = (found.dataset_low, found.dataset_high), found[4:6]
        folds = _pair(first, second, "accuracy")
        values = average_repeats(100 * (folds["first"] - folds["second"]), folds["repeat"])
        reruns = simulate_reruns(values, confidence_level=level, margin=MARGIN)
        row = dict(zip(("first", "second"), names, strict=True)) | found._asdict()
        row |= {"dataset_direction": direction(*dataset), "dataset_size": size(*dataset, MARGIN)}
        row |= {"rerun_direction": reruns.direction, "rerun_size": reruns.size}
        row |= {"new_data_direction": direction(*new_data)}
        row |= {"new_data_size": size(*new_data, MARGIN)}
        rows.append(row | _compare_collapsed(first, second))
    frame = pd.DataFrame(rows)
    for name in ("dataset_p", "new_data_p", "collapsed_p"):
        frame[name] = (len(pairs) * frame[name]).clip(upper=1)
    return frame


def _pair(first, second, score):
    """Pair two tables fold by fold; a fold's score is the mean of its seeds."""
    folds = [
        table.groupby(["repeat", "fold"], as_index=False)[[score, "n_train", "n_test"]].mean()
        for table in (first, second)
    ]
    pairs = folds[0].merge(folds[1], on=["repeat", "fold"], validate="one_to_one")
    if not len(pairs) == len(folds[0]) == len(folds[1]):
        raise InputError("tables of different folds cannot be compared; run both again")
    scores = {"first": pairs[f"{score}_x"], "second": pairs[f"{score}_y"]}
    return pairs.assign(**scores, ratio=pairs["n_test_x"] / pairs["n_train_x"])


def _compare_collapsed(first, second):
    """Compare the numbers of collapsed networks; references other than networks have none."""
    sides = {"first": first, "second": second}
    row = {f"{side}_networks": len(table) for side, table in sides.items()}
    if not all("collapsed" in table for table in sides.values()):
        return row | dict.fromkeys(("first_collapsed", "second_collapsed", "collapsed_p"), np.nan)
    numbers = {side: int(table["collapsed"].sum()) for side, table in sides.items()}
    counts = [[number, len(sides[side]) - number] for side, number in numbers.items()]
    row |= {f"{side}_collapsed": number for side, number in numbers.items()}
    return row | {"collapsed_p": stats.fisher_exact(counts).pvalue}

"""Compare per-fold tables pair by pair, fold by fold."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from experiments.foldstack.comparison import Comparison, compare, holm, verdict
from experiments.harness.errors import InputError
from experiments.harness.store import dataset_fingerprint

SHARED = {
    "the dataset": dataset_fingerprint,
    "the number of repeats": lambda metadata: metadata["repeats"],
    "the number of folds": lambda metadata: metadata["folds"],
    "the splits": lambda metadata: metadata["splits_sha256"],
    "the number of epochs": lambda metadata: metadata["epochs"],
    "the engine": lambda metadata: metadata["engine"],
    "the versions of the packages": lambda metadata: metadata["versions"],
}


def check_comparable(metadata: Mapping[str, dict], ignore: Collection[str] = ()) -> None:
    """Check that tables share their dataset, splits, epochs, engine and versions.

    Parameters
    ----------
    metadata : mapping of table name to metadata
    ignore : collection of keys of `SHARED`

    Raises
    ------
    InputError
        If two of them differ; it names the tables and what differs.
    """
    (first, expected), *others = metadata.items()
    for what, value in SHARED.items():
        for name, other in others:
            if what not in ignore and value(other) != value(expected):
                raise InputError(
                    f"{first} and {name} differ in {what}, so they cannot be compared; "
                    "run both with the same options"
                )
    if expected["repeats"] < 2:
        raise InputError("a comparison needs at least 2 repeats; run the arms with more")


def compare_tables(
    first: pd.DataFrame,
    second: pd.DataFrame,
    score: str = "accuracy",
    scale: float = 100,
    confidence_level: float = 0.95,
) -> Comparison:
    """Compare a score of two per-fold tables, paired by repeat and fold.

    Parameters
    ----------
    first, second : DataFrame
        Columns ``repeat, fold, n_train, n_test`` and the score.
    score : str
    scale : float
        Factor of the differences; 100 turns accuracies into percentage points.
    confidence_level : float

    Raises
    ------
    InputError
        If one table has folds that the other lacks.
    """
    pairs = first.merge(second, on=["repeat", "fold"], validate="one_to_one")
    if not len(pairs) == len(first) == len(second):
        raise InputError("tables of different folds cannot be compared; run both again")
    return compare(
        pairs[f"{score}_x"],
        pairs[f"{score}_y"],
        repeats=pairs["repeat"],
        test_train_ratio=np.mean(pairs["n_test_x"] / pairs["n_train_x"]),
        scale=scale,
        confidence_level=confidence_level,
    )


def compare_pairs(
    tables: Mapping[str, pd.DataFrame], pairs: Sequence[tuple[str, str]]
) -> pd.DataFrame:
    """Compare a family of pairs of per-fold tables, one row per pair.

    The verdict is better or worse where p is below 0.05 after Holm's correction over the
    family. ``…_low`` and ``…_high`` are each pair's own 95% interval, ``…_family_low`` and
    ``…_family_high`` hold for all pairs of the family at once (Bonferroni).
    """
    rows = pd.DataFrame(
        {"first": first, "second": second} | compare_tables(tables[first], tables[second])._asdict()
        for first, second in pairs
    )
    level = 1 - 0.05 / len(pairs)
    wide = pd.DataFrame(
        compare_tables(tables[first], tables[second], confidence_level=level)._asdict()
        for first, second in pairs
    )
    for scope in ("dataset", "new_data"):
        for end in ("low", "high"):
            rows[f"{scope}_family_{end}"] = wide[f"{scope}_{end}"]
        adjusted = holm(rows[f"{scope}_p"])
        rows[f"{scope}_p_holm"] = adjusted
        rows[f"{scope}_verdict"] = [
            verdict(difference, p)
            for difference, p in zip(rows["difference"], adjusted, strict=True)
        ]
    return rows

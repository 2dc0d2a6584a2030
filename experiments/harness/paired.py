"""Compare per-fold tables pair by pair, fold by fold."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from experiments.foldstack.comparison import Comparison, compare, holm, verdict
from experiments.harness.errors import InputError
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
    """Compare a score of two per-fold tables, paired by repeat and fold, times `scale`."""
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

    The verdicts are after Holm's correction over the family. ``…_low`` and ``…_high`` are each
    pair's own 95% interval, ``…_family_…`` hold for all pairs at once (Bonferroni).
    """
    own, family = (
        pd.DataFrame(
            compare_tables(tables[first], tables[second], confidence_level=level)._asdict()
            for first, second in pairs
        )
        for level in (0.95, 1 - 0.05 / len(pairs))
    )
    rows = pd.concat([pd.DataFrame(pairs, columns=["first", "second"]), own], axis=1)
    for scope in ("dataset", "new_data"):
        for end in ("low", "high"):
            rows[f"{scope}_family_{end}"] = family[f"{scope}_{end}"]
        rows[f"{scope}_p_holm"] = holm(rows[f"{scope}_p"])
        pairs = zip(rows["difference"], rows[f"{scope}_p_holm"], strict=True)
        rows[f"{scope}_verdict"] = [verdict(difference, p) for difference, p in pairs]
    return rows

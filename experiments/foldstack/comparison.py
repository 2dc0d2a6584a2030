"""Compare the tables of arms fold by fold."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from experiments.foldstack.statistics import corrected_resampled_t, holm, t_estimate, verdict
from experiments.harness import store as tables
from experiments.harness.errors import InputError

SHARED = {
    "the data": tables.data_identity,
    "the number of repeats": lambda record: record["repeats"],
    "the number of folds": lambda record: record["folds"],
    "the splits": lambda record: record["splits_sha256"],
    "the number of epochs": lambda record: record["epochs"],
    "the engine": lambda record: record["engine"],
    "the versions of the packages": lambda record: record["versions"],
}
FEW_REPEATS = 10


def check_comparable(records: Mapping[str, dict], but: Collection[str] = ()) -> None:
    """Make sure that tables are of the same data, splits, folds, epochs, engine, versions.

    Parameters
    ----------
    records : mapping of table names to what produced them
    but : collection of keys of `SHARED`
        What may differ.

    Raises
    ------
    InputError
        If two of them differ; it names them, and what differs.
    """
    (first, record), *others = records.items()
    for what, of in SHARED.items():
        for name, other in others:
            if what not in but and of(other) != of(record):
                raise InputError(
                    f"{first} and {name} differ in {what}, so they cannot be compared; "
                    f"run both with the same options"
                )
    if record["repeats"] < 2:
        raise InputError("a comparison needs at least 2 repeats; run the arms with more")


def check_together(folder: Path) -> None:
    """Make sure that a comparison is of the arms' tables as they are now.

    Raises
    ------
    InputError
        If a table has changed since, or is gone; it names the table.
    """
    if not (folder / "comparison.csv").exists():
        return
    for name, checksum in tables.read_record(folder, "comparison")["tables"].items():
        if tables.checksum(folder, name) != checksum:
            raise InputError(
                f"{folder / 'comparison.csv'} is not of {folder / name}.csv as it is now; "
                "compare again: `make compare`, or `make all` if the arms no longer match"
            )


def compare(
    first: pd.DataFrame,
    second: pd.DataFrame,
    score: str = "accuracy",
    scale: float = 100,
    level: float = 0.95,
) -> dict:
    """Estimate the difference of two arms, in accuracy if not said otherwise, paired by fold.

    Parameters
    ----------
    first, second : DataFrame
        One row per repeat and fold: ``repeat, fold, n_train, n_test, accuracy``.
    score : str
        The column to compare.
    scale : float
        Its factor; 100 gives points.
    level : float
        Coverage of the intervals.

    Returns
    -------
    dict
        ``difference`` (first less second); ``these_low, these_high, these_p``: on
        these rows, a t interval over the repeats' means; ``new_low, new_high, new_p``: for
        new rows, the corrected resampled t-test over all folds.

        With fewer than 10 repeats the first interval is taken over the folds instead: their
        number makes up for their larger spread, which errs on the side of caution, because
        how hard the rows of a fold are averages out over a repeat.

    Raises
    ------
    InputError
        If one of them has folds that the other has not.
    """
    pairs = first.merge(second, on=["repeat", "fold"], validate="one_to_one")
    if not len(pairs) == len(first) == len(second):
        raise InputError("tables of different folds cannot be compared; make them again")
    pairs["difference"] = scale * (pairs[f"{score}_x"] - pairs[f"{score}_y"])
    differences = pairs["difference"]
    by_repeat = pairs.groupby("repeat")["difference"].mean()
    these = t_estimate(differences if len(by_repeat) < FEW_REPEATS else by_repeat, level)
    test_to_train = np.mean(pairs["n_test_x"] / pairs["n_train_x"])
    new = corrected_resampled_t(differences, test_to_train, level)
    return {
        "difference": new.mean,
        "these_low": these.low, "these_high": these.high, "these_p": these.p,
        "new_low": new.low, "new_high": new.high, "new_p": new.p,
    }  # fmt: skip


def compare_pairs(
    arms: Mapping[str, pd.DataFrame], pairs: Sequence[tuple[str, str]]
) -> pd.DataFrame:
    """Compare a family of pairs, with a verdict on each of the two questions.

    Better or worse where p is below 0.05 after Holm's correction over the family. The
    intervals are each pair's own, of 95%; ``these_family_low`` to ``…_high`` and
    ``new_family_…`` are wide enough to hold for the whole family at once (Bonferroni's).
    """
    rows = pd.DataFrame(
        {"first": first, "second": second} | compare(arms[first], arms[second])
        for first, second in pairs
    )
    level = 1 - 0.05 / len(pairs)
    wide = pd.DataFrame(compare(arms[a], arms[b], level=level) for a, b in pairs)
    for question in ("these", "new"):
        for end in ("low", "high"):
            rows[f"{question}_family_{end}"] = wide[f"{question}_{end}"]
        adjusted = holm(rows[f"{question}_p"])
        rows[f"{question}_p_holm"] = adjusted
        rows[f"{question}_verdict"] = [
            verdict(*row) for row in zip(rows["difference"], adjusted, strict=True)
        ]
    return rows

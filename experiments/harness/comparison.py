"""Compare the tables of arms fold by fold."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from experiments.harness.errors import InputError
from experiments.harness.statistics import corrected_resampled_t, holm, t_estimate, verdict

SHARED = {
    "the data": lambda record: record["data"]["sha256"],
    "the number of repeats": lambda record: record["repeats"],
    "the number of folds": lambda record: record["folds"],
    "the splits": lambda record: record["splits_sha256"],
    "the number of epochs": lambda record: record["epochs"],
}


def check_comparable(records: Mapping[str, dict], but: Collection[str] = ()) -> None:
    """Make sure that tables are of the same data, splits, folds and epochs.

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


def compare(
    first: pd.DataFrame,
    second: pd.DataFrame,
    by: str = "repeat",
    score: str = "accuracy",
    scale: float = 100,
) -> dict:
    """Estimate the difference of two arms, in accuracy if not said otherwise, paired by fold.

    Parameters
    ----------
    first, second : DataFrame
        One row per repeat and fold: ``repeat, fold, n_train, n_test, accuracy``.
    by : {"repeat", "fold"}
        What counts as one value on these rows. With few repeats take folds: their number
        makes up for their larger spread, which errs on the side of caution, because how
        hard the rows of a fold are averages out over a repeat.
    score : str
        The column to compare.
    scale : float
        Its factor; 100 gives points.

    Returns
    -------
    dict
        ``difference`` (first less second); ``these_low, these_high, these_p``: on
        these rows, a t interval over the repeats' means (or the folds); ``new_low, new_high,
        new_p``: for new rows, the corrected resampled t-test over all folds.
    """
    pairs = first.merge(second, on=["repeat", "fold"], validate="one_to_one")
    pairs["difference"] = scale * (pairs[f"{score}_x"] - pairs[f"{score}_y"])
    differences = pairs["difference"]
    these = t_estimate(
        differences if by == "fold" else pairs.groupby("repeat")["difference"].mean()
    )
    new = corrected_resampled_t(differences, np.mean(pairs["n_test_x"] / pairs["n_train_x"]))
    return {
        "difference": new.mean,
        "these_low": these.low, "these_high": these.high, "these_p": these.p,
        "new_low": new.low, "new_high": new.high, "new_p": new.p,
    }  # fmt: skip


def compare_pairs(
    arms: Mapping[str, pd.DataFrame], pairs: Sequence[tuple[str, str]], by: str = "repeat"
) -> pd.DataFrame:
    """Compare a family of pairs, with a verdict on each of the two questions.

    Better or worse where p is below 0.05 after Holm's correction over the family. The
    intervals are each pair's own, of 95%.
    """
    rows = pd.DataFrame(
        {"first": first, "second": second} | compare(arms[first], arms[second], by)
        for first, second in pairs
    )
    for question in ("these", "new"):
        adjusted = holm(rows[f"{question}_p"])
        rows[f"{question}_p_holm"] = adjusted
        rows[f"{question}_verdict"] = [
            verdict(*row) for row in zip(rows["difference"], adjusted, strict=True)
        ]
    return rows

"""Re-run results are identical, within noise, or different."""

import numpy as np
import pandas as pd
import pytest

from experiments.harness import store
from experiments.harness.reruns import can_compare, compare_rerun
from experiments.harness.schema import ARMS
from tests.commands import run


def scores(shift=0.0, noise=0.0, settings=1):
    rows = pd.MultiIndex.from_product(
        [range(settings), [1, 2, 3], range(1, 11)], names=["setting", "repeat", "fold"]
    ).to_frame(index=False)
    accuracy = np.random.default_rng(9).normal(0.8, 0.05, len(rows))
    rows["accuracy"] = accuracy + shift + np.random.default_rng(0).normal(0, 1, len(rows)) * noise
    rows["log_loss"] = 1 - rows["accuracy"]
    rows["n_test"], rows["seed"] = 21, 1
    return rows


LOST = scores().assign(log_loss=[np.nan] + [1.0] * 29)  # one network diverged
FEW = scores()[:4]
OTHER = scores(noise=0.02, settings=50)
ONE_OF_MANY = OTHER.assign(accuracy=OTHER["accuracy"] - 0.05 * (OTHER["setting"] == 7))


@pytest.mark.parametrize(
    ("before", "again", "verdict", "reason"),
    [
        (scores(), scores(), "identical", ""),
        (scores(), scores(1e-9), "equal up to rounding", "largest relative difference"),
        (scores(), scores(noise=0.05), "within noise", "differs most"),
        (scores(), scores(0.05, noise=0.02), "different", "accuracy differs most, by"),
        (scores(), scores(0.05), "different", "by +5.00 points on average, p 0"),
        (scores(), scores(-0.2), "different", "by -20.00 points on average, p 0"),
        (scores(), scores().assign(log_loss=9.0), "different", "log_loss differs most"),
        (scores(), scores().assign(n_test=22), "different", "another n_test"),
        (scores(), scores()[:-1], "different", "another number of rows"),
        (scores(), scores().rename(columns={"fold": "split"}), "different", "other columns"),
        (FEW, FEW.assign(fold=FEW["fold"] + 1), "different", "other folds or settings"),
        (FEW, FEW.assign(accuracy=FEW["accuracy"] - 0.1), "too few folds to tell", ""),
        (scores().assign(log_loss=1.0), LOST, "different", ""),
        (LOST, LOST.assign(accuracy=LOST["accuracy"] + [0.01, -0.01] * 15), "within noise", ""),
        (scores(settings=50), OTHER, "within noise", ""),
        (scores(settings=50), ONE_OF_MANY, "different", "in one of 50 settings"),
    ],
)
def test_scores_are_compared_with_the_noise_between_seeds(before, again, verdict, reason):
    found = compare_rerun("tips-folds", before, again, {})
    assert found[0] == verdict
    assert reason in found[1]


@pytest.mark.parametrize(
    ("value", "source", "verdict"),
    [
        (2.1, "identical", "different"),
        (2.1, "within noise", "within noise"),
        (2.1, "different", "different"),
        (2.0, "different", "identical"),
    ],
)
def test_a_derived_table_differs_no_more_than_its_sources(value, source, verdict):
    before, again = pd.DataFrame({"value": [1.0, 2.0]}), pd.DataFrame({"value": [1.0, value]})
    assert compare_rerun("tips", before, again, {"tips-folds": source})[0] == verdict


def test_a_derived_table_is_compared_only_with_all_its_sources():
    tables = {*ARMS, "summary"}
    assert can_compare("summary", tables, tables)
    assert not can_compare("summary", tables - {"hidden"}, tables)
    assert not can_compare("benchmark", {"benchmark"}, {"benchmark"})


@pytest.fixture
def results(tmp_path, capsys):
    run("baseline", tmp_path, repeats=5)
    capsys.readouterr()
    return tmp_path


def test_the_same_results(results, capsys):
    run("verify", results)
    assert capsys.readouterr().out.splitlines() == [
        "baseline              identical",
        "summary               identical",
        "2 the same, 0 within noise or too small to tell, 0 different",
    ]


@pytest.mark.parametrize(
    ("factor", "settings", "reason", "counts"),
    [
        (0.5, {}, "accuracy differs most", (0, 2)),
        (1, {"momentum": 0.9}, "re-run with another settings", (1, 1)),
    ],
)
def test_other_results(results, capsys, factor, settings, reason, counts):
    folds, metadata = (
        store.read_table(results, "baseline"),
        store.read_metadata(results, "baseline"),
    )
    folds["accuracy"] *= factor
    store.write_arm(results, folds, metadata | {"settings": metadata["settings"] | settings})
    with pytest.raises(SystemExit, match="1"):
        run("verify", results)
    printed = capsys.readouterr().out
    assert f"baseline              different: {reason}" in printed
    assert (
        "{} the same, 0 within noise or too small to tell, {} different".format(*counts) in printed
    )

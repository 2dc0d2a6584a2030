"""The commands of `make all` at toy size: comparison, figures and report."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from experiments import compare
from experiments.harness import store
from experiments.harness.errors import InputError
from experiments.harness.paired import SHARED, check_comparable, compare_tables
from experiments.harness.schema import ARMS
from tests.commands import run, run_and_fail
from tests.conftest import SONAR

TOY = {"folds": 3, "epochs": 2}


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """All of `make all` at toy size; one arm is left for the comparison to run."""
    folder = tmp_path_factory.mktemp("results")
    for arm in ("baseline", "visible", "hidden"):
        run(arm, folder, curves=True, **TOY)
    for command in ("stopping", "remedies", "compare"):
        run(command, folder, **TOY)
    for command in ("figures", "report"):
        run(command, folder)
    return folder


@pytest.fixture
def copy(toy, tmp_path):
    return shutil.copytree(toy, tmp_path / "results")


def test_every_pair_has_both_intervals_and_verdicts(toy):
    assert len(store.read_table(toy, "control")) == 6  # the comparison has run it
    comparison = pd.read_csv(toy / "comparison.csv")
    pairs = list(zip(comparison["first"], comparison["second"], strict=True))
    against_baseline = {(arm, "baseline") for arm in ("visible", "hidden", "control")}
    assert against_baseline | {("visible", "control"), ("hidden", "control")} <= set(pairs)
    families = comparison["family"].value_counts()
    expected = {"arms": 5, "context": 4, "stopping": 1, "remedies": 2, "remedies on hidden": 2}
    assert families.to_dict() == expected
    for question in ("dataset", "new_data"):
        ends = [f"{question}_low", "difference", f"{question}_high"]
        assert (comparison[ends].diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)
    first, second = (store.read_table(toy, name)["accuracy"].mean() for name in pairs[0])
    assert comparison["difference"][0] == pytest.approx(100 * (first - second))


def test_everything_is_of_the_same_splits_as_the_arms(toy):
    arm = store.read_table(toy, "hidden")
    columns = ["repeat", "fold", "n_train", "n_test"]
    context = store.read_table(toy, "context").groupby("experiment")
    tables = [rows for _, rows in context] + [store.read_table(toy, "stopping")]
    remedies = store.read_table(toy, "remedies")
    tables += [rows for _, rows in remedies.groupby("remedy")]
    assert len(tables) == 5
    for rows in tables:
        assert rows[columns].reset_index(drop=True).equals(arm[columns])
    majority = context.get_group("majority")
    expected = np.average(majority["accuracy"], weights=majority["n_test"])
    assert expected == pytest.approx(111 / 208)
    settings = store.read_metadata(toy, "remedies")["settings"]
    assert [each["epochs"] for each in settings.values()] == [2, 4]


def test_tables_that_differ_in_more_than_the_arm_cannot_be_compared(toy):
    metadata = store.read_metadata(toy, "baseline")
    keys = ["data", "repeats", "folds", "splits_sha256", "epochs", "engine", "versions"]
    for what, key in zip(SHARED, keys, strict=True):
        changed = metadata | {key: {"sha256": "other"}}
        with pytest.raises(InputError, match=f"a and b differ in {what}"):
            check_comparable({"a": metadata, "b": changed})
    arm = store.read_table(toy, "baseline")
    with pytest.raises(InputError, match="different folds"):
        compare_tables(arm, arm[1:])


def test_compare_takes_its_options_from_the_existing_arms(copy):
    before = (copy / "control.csv").read_bytes()
    (copy / "control.csv").unlink()
    compare.main([f"--data={SONAR}", f"--results={copy}"])
    assert (copy / "control.csv").read_bytes() == before


def test_an_outdated_comparison_is_not_published_and_an_impossible_one_not_written(copy, capsys):
    before = {name: (copy / name).read_bytes() for name in ("README.md", "comparison.csv")}
    run("visible", copy, seed=8, **TOY)
    for command in ("figures", "report"):
        assert "another visible.csv; compare again" in run_and_fail(capsys, command, copy)[1]
    assert "in the splits" in run_and_fail(capsys, "compare", copy, **TOY)[1]
    assert before == {name: (copy / name).read_bytes() for name in before}


def test_curves_follow_the_table_they_belong_to(copy):
    curves = pd.read_csv(copy / "curves.csv")
    assert set(curves["experiment"]) == {"baseline", "visible", "hidden"}
    single = pd.read_csv(copy / "hidden-curves.csv")
    networks = single[single["epoch"] == 2]
    last = curves[(curves["experiment"] == "hidden") & (curves["epoch"] == 2)].iloc[0]
    assert last["accuracy"] == pytest.approx(networks["accuracy"].mean())
    assert last["log_loss_high"] == pytest.approx(networks["log_loss"].quantile(0.9))
    run("hidden", copy, **TOY)
    assert set(pd.read_csv(copy / "curves.csv")["experiment"]) == {"baseline", "visible"}
    assert not (copy / "hidden-curves.csv").exists()


def test_committed_tables_belong_together(committed):
    results = committed / "results"
    metadata = [store.read_metadata(results, name) for name in ARMS]
    sizes = {(arm["repeats"], arm["seeds"], arm["engine"]) for arm in metadata}
    assert sizes == {(60, 7, "stacked")}
    assert len({json.dumps(arm["versions"]) for arm in metadata}) == 1
    store.check_comparison_current(results)
    commits = [json.loads(path.read_text()).get("commit") or "" for path in results.glob("*.json")]
    assert not [commit for commit in commits if "-dirty" in commit]
    means = store.read_table(results, "summary").set_index("experiment")["mean_accuracy"]
    for name in ARMS:
        folds = store.read_table(results, name)
        assert len(folds) == 4200
        assert means[name] == pytest.approx(folds["accuracy"].mean())

"""The commands of `make all` at toy size: comparison, figures and report."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from experiments import baseline, compare, figures, hidden, remedies, report, visible
from experiments.harness import store
from experiments.harness.errors import InputError
from experiments.harness.paired import SHARED, check_comparable, compare_tables
from experiments.harness.schema import ARMS
from tests.conftest import SONAR

TOY = ["--folds=3", "--repeats=2", "--epochs=2", "--jobs=1", f"--data={SONAR}"]


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """All of `make all` at toy size; one arm is left for the comparison to run."""
    folder = tmp_path_factory.mktemp("results")
    options = [*TOY, f"--results={folder}"]
    for script in (baseline, visible, hidden):
        script.main([*options, "--curves"])
    remedies.main(options)
    compare.main(options)
    figures.main([f"--results={folder}"])
    report.main([f"--results={folder}"])
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
    families = comparison["family"].value_counts()  # one of the nine settings is the hidden arm's
    assert families[["remedies", "remedies on hidden"]].tolist() == [8, 8]
    for question in ("dataset", "new_data"):
        ends = [f"{question}_family_low", f"{question}_low", "difference"]
        ends += [f"{question}_high", f"{question}_family_high"]
        assert (comparison[ends].diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)
    first, second = (store.read_table(toy, name)["accuracy"].mean() for name in pairs[0])
    assert comparison["difference"][0] == pytest.approx(100 * (first - second))


def test_context_and_remedies_are_of_the_same_splits_and_networks_as_the_arms(toy):
    arm = store.read_table(toy, "hidden")
    columns = ["repeat", "fold", "n_train", "n_test"]
    context = store.read_table(toy, "context").groupby("experiment")
    for _, rows in context[columns]:
        assert rows.reset_index(drop=True).equals(arm[columns])
    majority = context.get_group("majority")
    expected = np.average(majority["accuracy"], weights=majority["n_test"])
    assert expected == pytest.approx(111 / 208)
    columns += ["accuracy", "train_accuracy"]
    remedies = store.read_table(toy, "remedies")
    same = remedies[(remedies["learning_rate"] == 0.1) & (remedies["epochs"] == 2)]
    assert same[columns].reset_index(drop=True).equals(arm[columns])
    assert sorted(remedies["epochs"].unique()) == [2, 4, 8]


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
    visible.main([*TOY, "--seed=8", f"--results={copy}"])
    outdated = "another visible.csv; compare again"
    for script, message in ((figures, outdated), (report, outdated), (compare, "in the splits")):
        with pytest.raises(SystemExit) as caught:
            script.main([f"--results={copy}", *(TOY if script is compare else ())])
        assert caught.value.code == 2
        assert message in capsys.readouterr().err
    assert before == {name: (copy / name).read_bytes() for name in before}


def test_curves_follow_the_table_they_belong_to(copy):
    curves = pd.read_csv(copy / "curves.csv")
    assert set(curves["experiment"]) == {"baseline", "visible", "hidden"}
    single = pd.read_csv(copy / "hidden-curves.csv")
    networks = single[single["epoch"] == 2]
    last = curves[(curves["experiment"] == "hidden") & (curves["epoch"] == 2)].iloc[0]
    assert last["accuracy"] == pytest.approx(networks["accuracy"].mean())
    assert last["log_loss_high"] == pytest.approx(networks["log_loss"].quantile(0.9))
    hidden.main([*TOY, f"--results={copy}"])
    assert set(pd.read_csv(copy / "curves.csv")["experiment"]) == {"baseline", "visible"}
    assert not (copy / "hidden-curves.csv").exists()


def test_committed_tables_belong_together(committed):
    results = committed / "results"
    metadata = [store.read_metadata(results, name) for name in ARMS]
    assert {(arm["repeats"], arm["engine"]) for arm in metadata} == {(30, "stacked")}
    assert len({json.dumps(arm["versions"]) for arm in metadata}) == 1
    store.check_comparison_current(results)
    commits = [json.loads(path.read_text()).get("commit") or "" for path in results.glob("*.json")]
    assert not [commit for commit in commits if "-dirty" in commit]
    means = store.read_table(results, "summary").set_index("experiment")["mean_accuracy"]
    for name in ARMS:
        folds = store.read_table(results, name)
        assert len(folds) == 300
        assert means[name] == pytest.approx(folds["accuracy"].mean())

"""The commands of `make all` at toy size: comparison, figures and report."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from experiments import baseline, compare, figures, hidden, remedies, report, visible
from experiments.harness import store
from experiments.harness.errors import InputError
from experiments.harness.files import REPOSITORY
from experiments.harness.paired import compare_tables
from experiments.harness.schema import ARMS

SONAR = REPOSITORY / "data" / "sonar.csv"
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
    pairs = [tuple(pair) for pair in comparison[["first", "second"]].to_numpy()]
    against_baseline = [(arm, "baseline") for arm in ("visible", "hidden", "control")]
    against_control = [(arm, "control") for arm in ("visible", "hidden")]
    assert {*against_baseline, *against_control} <= set(pairs)
    families = comparison["family"].value_counts()  # one of the nine settings is the hidden arm's
    assert families[["remedies", "remedies on hidden"]].tolist() == [8, 8]
    assert (comparison["dataset_family_low"] <= comparison["dataset_low"]).all()
    assert (comparison["dataset_low"] <= comparison["difference"]).all()
    assert (comparison["new_data_high"] >= comparison["difference"]).all()
    assert (comparison["new_data_family_high"] >= comparison["new_data_high"]).all()
    first, second = (store.read_table(toy, name)["accuracy"].mean() for name in pairs[0])
    assert comparison["difference"][0] == pytest.approx(100 * (first - second))


def test_the_context_is_of_the_same_splits(toy):
    context = pd.read_csv(toy / "context.csv")
    arm = store.read_table(toy, "baseline")
    for _, rows in context.groupby("experiment"):
        columns = ["repeat", "fold", "n_train", "n_test"]
        assert rows[columns].reset_index(drop=True).equals(arm[columns])
    majority = context[context["experiment"] == "majority"]
    expected = np.average(majority["accuracy"], weights=majority["n_test"])
    assert expected == pytest.approx(111 / 208)


def test_the_remedy_with_the_arm_s_settings_is_the_arm(toy):
    table = pd.read_csv(toy / "remedies.csv")
    same = table[(table["learning_rate"] == 0.1) & (table["epochs"] == 2)]
    columns = ["repeat", "fold", "accuracy", "train_accuracy"]
    arm = store.read_table(toy, "hidden")
    assert same[columns].reset_index(drop=True).equals(arm[columns])
    assert sorted(table["epochs"].unique()) == [2, 4, 8]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seed=8"], "differ in the splits"),
        (["--epochs=3"], "differ in the number of epochs"),
        (["--repeats=3"], "differ in the number of repeats"),
    ],
)
def test_tables_that_cannot_be_compared_are_rejected(copy, capsys, options, message):
    before = (copy / "comparison.csv").read_bytes()
    hidden.main([*TOY, *options, f"--results={copy}"])
    with pytest.raises(SystemExit) as caught:
        compare.main([*TOY, f"--results={copy}"])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
    assert (copy / "comparison.csv").read_bytes() == before


def test_compare_takes_its_options_from_the_existing_arms(copy, capsys):
    before = (copy / "control.csv").read_bytes()
    (copy / "control.csv").unlink()
    options = [f"--data={SONAR}", f"--results={copy}"]
    compare.main(options)
    assert (copy / "control.csv").read_bytes() == before
    with pytest.raises(SystemExit) as caught:
        compare.main([*options, "--repeats=4"])
    assert caught.value.code == 2
    assert "baseline.csv has repeats 2, not 4" in capsys.readouterr().err


@pytest.mark.parametrize("script", [figures, report])
def test_an_outdated_comparison_is_not_published(copy, capsys, script):
    before = (copy / "README.md").read_bytes()
    visible.main([*TOY, "--seed=8", f"--results={copy}"])
    with pytest.raises(SystemExit) as caught:
        script.main([f"--results={copy}"])
    assert caught.value.code == 2
    assert "another visible.csv; compare again" in capsys.readouterr().err
    assert (copy / "README.md").read_bytes() == before


def test_tables_of_other_folds_or_another_dataset_are_rejected(copy, capsys, tmp_path):
    arm = store.read_table(copy, "baseline")
    with pytest.raises(InputError, match="different folds"):
        compare_tables(arm, arm[1:])
    other = tmp_path / "other.csv"
    other.write_text(SONAR.read_text().replace("0.0200", "0.0300", 1))
    with pytest.raises(SystemExit):
        compare.main([*TOY, f"--data={other}", f"--results={copy}"])
    assert "were not computed from" in capsys.readouterr().err


def test_curves_follow_the_table_they_belong_to(copy):
    curves = pd.read_csv(copy / "curves.csv")
    assert set(curves["experiment"]) == {"baseline", "visible", "hidden"}
    single = pd.read_csv(copy / "hidden-curves.csv")
    last = curves[(curves["experiment"] == "hidden") & (curves["epoch"] == 2)].iloc[0]
    networks = single[single["epoch"] == 2]
    assert last["accuracy"] == pytest.approx(networks["accuracy"].mean())
    assert last["log_loss_high"] == pytest.approx(networks["log_loss"].quantile(0.9))
    hidden.main([*TOY, f"--results={copy}"])
    assert set(pd.read_csv(copy / "curves.csv")["experiment"]) == {"baseline", "visible"}
    assert not (copy / "hidden-curves.csv").exists()


def test_committed_tables_belong_together(committed):
    results = committed / "results"
    metadata = {name: store.read_metadata(results, name) for name in ARMS}
    assert {arm["repeats"] for arm in metadata.values()} == {30}
    assert {arm["engine"] for arm in metadata.values()} == {"stacked"}
    assert len({json.dumps(arm["versions"]) for arm in metadata.values()}) == 1
    store.check_comparison_current(results)
    commits = [json.loads(path.read_text()).get("commit") or "" for path in results.glob("*.json")]
    assert not [commit for commit in commits if "-dirty" in commit]
    summary = pd.read_csv(results / "summary.csv").set_index("experiment")
    for name in ARMS:
        folds = store.read_table(results, name)
        assert len(folds) == 300
        assert summary.loc[name, "mean_accuracy"] == pytest.approx(folds["accuracy"].mean())

"""Comparison, figures and pages, at toy size and as they are committed."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from experiments import baseline, compare, figures, hidden, remedies, report, visible
from experiments.foldstack import comparison as comparing
from experiments.harness import store as tables
from experiments.harness.errors import InputError
from experiments.reporting import pages
from experiments.reporting.claims import settle
from tests.scripts.test_scripts import REPOSITORY

TOY = ["--folds=3", "--repeats=2", "--epochs=2", "--jobs=1",
       f"--data={REPOSITORY / 'data' / 'sonar.csv'}"]  # fmt: skip


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


def test_compare_runs_the_arm_that_is_missing(toy):
    assert len(tables.read_arm(toy, "control")) == 6


def test_every_pair_has_both_intervals_and_verdicts(toy):
    comparison = pd.read_csv(toy / "comparison.csv")
    pairs = [tuple(pair) for pair in comparison[["first", "second"]].to_numpy()]
    for pair in [("visible", "baseline"), ("hidden", "baseline"), ("control", "baseline"),
                 ("visible", "control"), ("hidden", "control")]:  # fmt: skip
        assert pair in pairs
    families = comparison["family"].value_counts()  # of nine settings one is the hidden arm's
    assert families[["remedies", "remedies on hidden"]].tolist() == [8, 8]
    assert (comparison["these_family_low"] <= comparison["these_low"]).all()
    assert (comparison["these_low"] <= comparison["difference"]).all()
    assert (comparison["new_high"] >= comparison["difference"]).all()
    assert (comparison["new_family_high"] >= comparison["new_high"]).all()
    first, second = (tables.read_arm(toy, name)["accuracy"].mean() for name in pairs[0])
    assert comparison["difference"][0] == pytest.approx(100 * (first - second))


def test_context_is_on_the_same_splits(toy):
    context = pd.read_csv(toy / "context.csv")
    arm = tables.read_arm(toy, "baseline")
    for _, rows in context.groupby("experiment"):
        columns = ["repeat", "fold", "n_train", "n_test"]
        assert rows[columns].reset_index(drop=True).equals(arm[columns])
    majority = context[context["experiment"] == "majority"]
    expected = np.average(majority["accuracy"], weights=majority["n_test"])
    assert expected == pytest.approx(111 / 208)


def test_remedies_at_the_arm_s_own_setting_are_the_arm(toy):
    table = pd.read_csv(toy / "remedies.csv")
    same = table[(table["learning_rate"] == 0.1) & (table["epochs"] == 2)]
    columns = ["repeat", "fold", "accuracy", "train_accuracy"]
    arm = tables.read_arm(toy, "hidden")
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
def test_tables_that_do_not_belong_together_are_refused(copy, capsys, options, message):
    before = (copy / "comparison.csv").read_bytes()
    hidden.main([*TOY, *options, f"--results={copy}"])
    with pytest.raises(SystemExit) as caught:
        compare.main([*TOY, f"--results={copy}"])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
    assert (copy / "comparison.csv").read_bytes() == before


def test_compare_takes_its_options_from_the_arms_that_are_there(copy, capsys):
    before = (copy / "control.csv").read_bytes()
    (copy / "control.csv").unlink()
    data, results = [option for option in TOY if "data" in option], f"--results={copy}"
    compare.main([*data, results])
    assert (copy / "control.csv").read_bytes() == before
    with pytest.raises(SystemExit) as caught:
        compare.main([*data, results, "--repeats=4"])
    assert caught.value.code == 2
    assert "baseline.csv has repeats 2, not 4" in capsys.readouterr().err


@pytest.mark.parametrize("script", [figures, report])
def test_a_comparison_of_older_tables_is_not_published(copy, capsys, script):
    before = (copy / "README.md").read_bytes()
    visible.main([*TOY, "--seed=8", f"--results={copy}"])
    with pytest.raises(SystemExit) as caught:
        script.main([f"--results={copy}"])
    assert caught.value.code == 2
    assert "visible.csv as it is now; compare again" in capsys.readouterr().err
    assert (copy / "README.md").read_bytes() == before


def test_tables_of_different_folds_are_not_paired(toy):
    arm = tables.read_arm(toy, "baseline")
    with pytest.raises(InputError, match="different folds"):
        comparing.compare(arm, arm[1:])


def test_tables_of_other_data_are_refused(copy, capsys, tmp_path):
    other = tmp_path / "other.csv"
    text = (REPOSITORY / "data" / "sonar.csv").read_text()
    other.write_text(text.replace("0.0200", "0.0300", 1))
    with pytest.raises(SystemExit):
        compare.main([*TOY, f"--data={other}", f"--results={copy}"])
    assert "are not of" in capsys.readouterr().err


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


def test_other_data_are_compared_without_the_tutorial_s_claims(tmp_path):
    lines = (REPOSITORY / "data" / "sonar.csv").read_text().splitlines()
    other, folder = tmp_path / "other.csv", tmp_path / "results"
    header = ";".join(["kind", *(f"band {number}" for number in range(60))])
    rows = [";".join([line[-1], *line[:-2].split(",")]) for line in lines]
    other.write_text("\n".join([header, *rows]))
    options = [f"--data={other}", "--target=kind", "--folds=2", "--repeats=2", "--epochs=1"]
    compare.main([*options, f"--results={folder}"])
    figures.main([f"--results={folder}"])
    report.main([f"--results={folder}"])
    assert not (folder / "claims.csv").exists()
    page = (folder / "README.md").read_text()
    assert "hidden − control" in page
    assert "(Keras 1)" not in page
    assert "a slight drop" not in page


def test_figures_are_drawn_the_same_every_time(copy):
    names = {path.name for path in (copy / "figures").iterdir()}
    assert names == {f"{n}.{kind}" for n in ("accuracy", "curves", "differences")
                     for kind in ("png", "svg")}  # fmt: skip
    before = {path.name: path.read_bytes() for path in (copy / "figures").iterdir()}
    figures.main([f"--results={copy}"])
    for path in (copy / "figures").iterdir():
        assert path.read_bytes() == before[path.name]


def test_the_page_says_what_the_tables_say(toy):
    page = (toy / "README.md").read_text()
    claims = pd.read_csv(toy / "claims.csv")
    assert len(claims) == 5
    for claim in claims.itertuples():
        assert claim.found in page
    comparison = pd.read_csv(toy / "comparison.csv")
    for pair in comparison.itertuples():
        assert f"{pair.first} − {pair.second} | {pair.difference:+.2f}" in page


def made_up(runs):
    """Arms whose single runs have the given accuracies, 10 folds each, without spread."""
    return {
        name: pd.DataFrame(
            {
                "repeat": np.repeat(np.arange(len(values)), 10),
                "accuracy": np.repeat(values, 10) + np.tile([0.02, -0.02], 5 * len(values)),
                "n_train": 187,
                "n_test": 21,
            }
        )
        for name, values in runs.items()
    }


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        (("worse", "better"), ["reproduced", "contradicted"]),
        (("too close to call", "worse"), ["too close to call", "reproduced"]),
    ],
)
def test_claims_are_settled_by_their_rules(verdicts, said):
    arms = made_up(
        {"baseline": [0.85, 0.87] * 15, "visible": [0.84] * 30, "hidden": [0.83, 0.86] * 15}
    )
    pairs = made_up_pairs(["visible", "hidden"], verdicts)
    claims = settle(arms, pairs, tables.read_published())
    assert claims["these_verdict"].tolist() == ["reproduced", *said, "reproduced"]
    assert claims["new_verdict"].tolist()[1:3] == ["too close to call"] * 2
    assert claims["estimate"].iloc[-1] == 50  # every other run ranks hidden above visible
    low = made_up({"baseline": [0.80, 0.82] * 15, "visible": [0.7] * 30, "hidden": [0.6] * 30})
    claims = settle(low, pairs, tables.read_published())
    assert claims["these_verdict"].iloc[0] == "contradicted"
    assert claims["new_verdict"].iloc[0] == "contradicted"
    assert claims["these_verdict"].iloc[-1] == "too close to call"  # 0 of 30: up to 11%


def test_runs_whose_arms_are_level_show_no_order():
    arms = made_up({name: [0.85, 0.87] * 15 for name in ("baseline", "visible", "hidden")})
    pairs = made_up_pairs(["visible", "hidden"], ["too close to call"] * 2)
    last = settle(arms, pairs, tables.read_published()).iloc[-1]
    assert last["estimate"] == 100
    assert "at least 30 show another" in last["found"]


def made_up_pairs(first, verdicts, lows=-3.0):
    return pd.DataFrame(
        {
            "family": ["arms"] * 2 + ["remedies"] * (len(first) - 2),
            "first": first, "second": "baseline",
            "difference": [-1.0 if verdict == "worse" else 1.0 for verdict in verdicts],
            "these_low": -2.0, "these_high": 0.0, "new_low": -5.0, "new_high": 3.0,
            "these_p_holm": 0.5, "these_family_low": lows, "new_family_low": -7.0,
            "these_verdict": verdicts, "new_verdict": "too close to call",
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("lows", "verdicts", "expected"),
    [
        ([-3, -0.5], ["worse", "too close to call"], "reproduced"),
        ([-3, -0.5], ["too close to call", "worse"], "too close to call"),
        ([-3, -0.5], ["worse", "worse"], "contradicted"),
        ([-3, -2], ["worse", "too close to call"], "too close to call"),
    ],
)
def test_remedies_are_settled_by_their_rule(lows, verdicts, expected):
    arms = made_up({name: [0.8, 0.9] for name in ("baseline", "visible", "hidden")})
    pairs = made_up_pairs(
        ["visible", "hidden", "hidden, a", "hidden, b"], ["worse"] * 2 + verdicts, [0, 0, *lows]
    )
    claims = settle(arms, pairs, tables.read_published())
    assert claims["these_verdict"].iloc[3] == expected
    assert claims["new_verdict"].iloc[3] == "too close to call"


def test_markers_are_filled_and_their_loss_is_told():
    page = "a\n<!-- x -->\nold\n<!-- /x -->\nb\n"
    assert pages.fill(page, {"x": "new \\1\n"}) == "a\n<!-- x -->\nnew \\1\n<!-- /x -->\nb\n"
    with pytest.raises(InputError, match="markers"):
        pages.fill(page, {"y": ""})


def test_committed_pages_are_those_of_the_committed_tables(committed):
    results = committed / "results"
    claims = tables.read_table(results, "claims")
    assert (results / "README.md").read_text() == pages.results_page(results, claims)
    readme = (committed / "README.md").read_text()
    assert readme == pages.fill(readme, pages.readme_parts(results, claims))


def test_committed_tables_belong_together(committed):
    results = committed / "results"
    records = {name: tables.read_record(results, name) for name in tables.ARMS}
    assert {record["repeats"] for record in records.values()} == {30}
    assert {record["engine"] for record in records.values()} == {"stacked"}
    assert len({json.dumps(record["versions"]) for record in records.values()}) == 1
    comparing.check_together(results)
    commits = [json.loads(path.read_text()).get("commit") or "" for path in results.glob("*.json")]
    assert not [commit for commit in commits if "-dirty" in commit]
    summary = pd.read_csv(results / "summary.csv").set_index("experiment")
    for name in tables.ARMS:
        folds = tables.read_arm(results, name)
        assert len(folds) == 300
        assert summary.loc[name, "mean_accuracy"] == pytest.approx(folds["accuracy"].mean())

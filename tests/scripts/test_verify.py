"""Results made again are judged: identical, within noise, or different."""

import numpy as np
import pandas as pd
import pytest

from experiments import baseline, verify
from experiments.harness import store
from experiments.harness.reruns import can_compare, compare_rerun
from experiments.harness.schema import ARMS
from experiments.harness.space import SPACE, describe_space, format_space, read_space
from tests.conftest import SONAR

TOY = ["--folds=2", "--repeats=2", "--epochs=2", f"--data={SONAR}"]


def scores(shift=0.0, noise=0.0, settings=1, seed=0):
    generator = np.random.default_rng(seed)
    rows = pd.MultiIndex.from_product(
        [range(settings), [1, 2, 3], range(1, 11)], names=["setting", "repeat", "fold"]
    ).to_frame(index=False)
    accuracy = np.random.default_rng(9).normal(0.8, 0.05, len(rows))
    rows["accuracy"] = accuracy + shift + generator.normal(0, 1, len(rows)) * noise
    rows["log_loss"] = 1 - rows["accuracy"]
    rows["n_test"] = 21
    return rows


@pytest.mark.parametrize(
    ("again", "verdict", "says"),
    [
        (scores(), "identical", ""),
        (scores(1e-9), "the same but for rounding", "largest relative difference"),
        (scores(noise=0.05, settings=1), "within noise", "differs most"),
        (scores(0.05, noise=0.02), "different", "accuracy differs most, by"),
        (scores(0.05), "different", "by +5.00 points on average, p 0"),
        (scores(-0.2), "different", "by -20.00 points on average, p 0"),
        (scores().assign(log_loss=9.0), "different", "log_loss differs most"),
        (scores().assign(n_test=22), "different", "another n_test"),
        (scores()[:-1], "different", "another number of rows"),
        (scores().rename(columns={"fold": "split"}), "different", "other columns"),
    ],
)
def test_scores_are_held_to_the_noise_of_seeds(again, verdict, says):
    found = compare_rerun("tips-folds", scores(), again, {})
    assert found[0] == verdict
    assert says in found[1]


def test_what_was_made_with_other_settings_is_told(results, capsys, monkeypatch):
    record = store.read_metadata(results, "baseline")
    record["settings"]["momentum"] = 0.9
    store.write_arm(results, store.read_table(results, "baseline"), record)
    with pytest.raises(SystemExit):
        verify.main([f"--results={results}", f"--data={SONAR}"])
    assert "different: re-run with another settings" in capsys.readouterr().out


def test_a_few_folds_tell_nothing():
    before = scores()[:4].assign(setting=0)
    assert compare_rerun("tips-folds", before, before.assign(fold=before["fold"] + 1), {}) == (
        "different",
        "other folds or settings",
    )
    again = before.assign(accuracy=before["accuracy"] - 0.1)
    assert compare_rerun("tips-folds", before, again, {})[0] == "too few folds to tell"


def test_a_network_that_diverges_only_once_is_a_difference():
    lost = scores().assign(log_loss=[np.nan] + [1.0] * 29)
    assert compare_rerun("tips-folds", scores().assign(log_loss=1.0), lost, {})[0] == "different"
    again = lost.assign(accuracy=lost["accuracy"] + 0.01 * np.array([1, -1] * 15))
    assert compare_rerun("tips-folds", lost, again, {})[0] == "within noise"


def test_one_of_many_settings_is_found():
    again = scores(noise=0.02, settings=50)
    assert compare_rerun("tips-folds", scores(settings=50), again, {})[0] == "within noise"
    again.loc[again["setting"] == 7, "accuracy"] -= 0.05
    verdict, reason = compare_rerun("tips-folds", scores(settings=50), again, {})
    assert verdict == "different"
    assert "in one of 50 settings" in reason


def test_a_table_that_follows_is_as_its_sources():
    before, again = pd.DataFrame({"value": [1.0, 2.0]}), pd.DataFrame({"value": [1.0, 2.1]})
    assert compare_rerun("tips", before, again, {"tips-folds": "identical"})[0] == "different"
    assert compare_rerun("tips", before, again, {"tips-folds": "within noise"})[0] == "within noise"
    assert compare_rerun("tips", before, again, {"tips-folds": "different"})[0] == "different"
    assert compare_rerun("tips", before, before, {"tips-folds": "different"})[0] == "identical"


def test_what_follows_is_judged_only_with_all_that_it_follows_from():
    there = {*ARMS, "summary"}
    assert can_compare("summary", there, there)
    assert not can_compare("summary", there - {"hidden"}, there)
    assert not can_compare("benchmark", {"benchmark"}, {"benchmark"})


@pytest.fixture
def results(tmp_path, capsys):
    baseline.main([*TOY, f"--results={tmp_path}"])
    capsys.readouterr()
    return tmp_path


def test_results_come_out_again(results, capsys):
    verify.main([f"--results={results}", f"--data={SONAR}"])
    assert capsys.readouterr().out.splitlines() == [
        "baseline              identical",
        "summary               identical",
        "2 the same, 0 within noise or too small to tell, 0 different",
    ]


def test_results_that_do_not_come_out_again_are_told(results, capsys):
    baseline.main([*TOY, "--repeats=5", f"--results={results}"])
    folds = store.read_table(results, "baseline")
    record = store.read_metadata(results, "baseline")
    store.write_arm(results, folds.assign(accuracy=folds["accuracy"] / 2), record)
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        verify.main([f"--results={results}", f"--data={SONAR}"])
    assert caught.value.code == 1
    printed = capsys.readouterr().out
    assert "baseline              different: accuracy differs most" in printed
    assert "0 the same, 0 within noise or too small to tell, 2 different" in printed


def test_a_described_space_is_written_and_read_again(tmp_path):
    path = tmp_path / "space.toml"
    path.write_text(
        'mlp__model__max_norm = ["none", 3]\n'
        "mlp__model__hidden_units = [[8], [4, 4]]\n"
        "mlp__model__learning_rate = {low = 0.001, high = 0.1, log = true}\n"
    )
    described = describe_space(read_space(path))
    path.write_text(format_space(store.json_round_trip(described)))
    assert describe_space(read_space(path)) == described
    assert format_space(store.json_round_trip(describe_space(SPACE))) is None

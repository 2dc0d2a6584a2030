"""`make tune` and `make predict`: the tables, the saved network and the rows to predict."""

import dataclasses
import json
import re

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from experiments import engine_check
from experiments.foldstack import build_pipeline, draw_candidates, export_network
from experiments.harness import plan
from experiments.harness.dataset import read_dataset, read_rows
from experiments.harness.errors import InputError
from experiments.harness.measures import MEASURES, guessing, rare_class, reported
from experiments.harness.settings import arguments
from experiments.harness.space import SPACE, describe_space, format_space, read_space
from experiments.harness.store import json_round_trip
from experiments.reporting import findings
from experiments.reporting.sweeps import plot_chosen
from tests.commands import SCRIPTS, run, run_and_fail

TOY = {"folds": 3, "candidates": 3, "epochs": 5, "jobs": 2, "target": "bought"}


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A table as a user might bring it, and what tuning on it writes."""
    folder = tmp_path_factory.mktemp("own")
    X = np.random.default_rng(0).normal(size=(90, 5))
    X[:, 3] = 7  # a constant column
    frame = pd.DataFrame(X, columns=["a", "b", "c", "fixed", "e"]).round(4)
    frame.to_csv(folder / "new.csv", index=False)
    frame.insert(1, "bought", np.where(X[:, 0] + X[:, 1] > 0, "yes", "no"))
    frame.to_csv(folder / "mine.csv", sep=";", index=False)
    run("tune", folder / "results", data=folder / "mine.csv", **TOY)
    return folder


def test_the_search_agrees_with_a_grid_search(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(engine_check, "GRID", {"mlp__model__hidden_dropout": [0.0, 0.9]})
    run("validate", tmp_path, part="search", folds=3, epochs=10, repeats=None)
    table = pd.read_csv(tmp_path / "validation-search.csv")
    assert table["hidden_dropout"].tolist() == [0, 0.9]
    assert (table["p_holm"] >= 0.05).all()
    for column in ("stacked_search", "grid_search"):
        assert table[column][0] > table[column][1]
    assert "validation-search.csv" in capsys.readouterr().out


def test_sizes_of_networks_are_drawn_in_order():
    tuned = pd.DataFrame({"fold": [1, 2, 3], "units": ["(120, 60)", "(60,)", "none"]})
    labels = plot_chosen(tuned, ["units"]).axes[0].get_yticklabels()
    assert [label.get_text() for label in labels] == ["none", "(60,)", "(120, 60)"]


def test_the_tables_of_tuning_and_their_report(own):
    results = own / "results"
    tuning, tuned = (pd.read_csv(results / f"{name}.csv") for name in ("tuning", "tuned"))
    assert len(tuning) == 4 * 3
    assert tuning.groupby("fold")["chosen"].sum().tolist() == [1] * 4
    last = tuning[tuning["rung"] == 3]
    best = last.groupby("fold")["accuracy"].max()
    assert last.groupby("fold").size().tolist() == [2] * 4  # with and without dropout
    chosen = tuning[tuning["chosen"] == 1].sort_values("fold")
    assert chosen["accuracy"].tolist() == pytest.approx(best.tolist())
    assert tuned["inner_accuracy"].tolist() == pytest.approx(best[1:].tolist())
    for name in ("hidden_dropout", "epochs"):
        assert tuned[name].tolist() == chosen[name].tolist()[1:]
    assert set(tuned["epochs"]) <= {1, 2, 3, 4, 5}
    rates = tuning.drop_duplicates("candidate").set_index("candidate")
    dropping = (rates[["visible_dropout", "hidden_dropout"]] > 0).any(axis=1)
    assert dropping.sum() == 2  # one of the three candidates has no dropout
    assert dropping[tuned["with_dropout_candidate"]].all()
    assert not dropping[tuned["without_dropout_candidate"]].any()
    for fold in tuned.itertuples():
        way = "with" if dropping[fold.candidate] else "without"
        assert fold.candidate == getattr(fold, f"{way}_dropout_candidate")
        assert fold.accuracy == getattr(fold, f"{way}_dropout_accuracy")
    run("figures", results)
    assert (results / "figures" / "tuned.png").exists()
    run("report", results)  # without any arm
    page = (results / "README.md").read_text()
    tuning = "- Tuning: 3 outer folds with 2 inner folds each, 3 candidates, 5 epochs at most in "
    assert f"{tuning}batches of 16, 2 halvings, seed 7." in page
    assert "outer folds; 2 of the 3 candidates have dropout." in page
    assert "- Does dropout help? On the same folds, the best candidate with dropout reaches" in page
    assert "cylinder" not in page  # that is about the Sonar data


def test_the_network_needs_only_keras_and_predicts_as_the_command_does(own, capsys):
    results = own / "results"
    network = keras.saving.load_model(results / "tuned.keras", safe_mode=True)
    rows = pd.read_csv(own / "new.csv").drop(columns="fixed").to_numpy(np.float32)
    expected = network.predict(rows, verbose=0)[:, 0]
    run("predict", results, model=results / "tuned.keras", data=own / "new.csv")
    written = pd.read_csv(results / "predictions.csv")
    assert written["line"].tolist() == list(range(2, 92))
    np.testing.assert_allclose(written["probability of yes"], expected, rtol=1e-5)
    assert written["class"].tolist() == ["yes" if p > 0.5 else "no" for p in expected]
    assert "yes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "features", "expected"),
    [
        ("e,more,c,a\n1,2,3,4\n", "a c e", [[4, 3, 1]]),
        ("column 2,column 1\n1,2\n", "column_1 column_2", [[2, 1]]),
        ("1,2\n", "column_1 column_2", [[1, 2]]),
        ("a,b\n1,2\n", "column_1 column_2", [[1, 2]]),
        ("a,b\n1,2\n", "a b c", "no column 'c', the network was trained on 3: 'a', 'b', 'c'"),
        ("1,2,3\n", "column_1 column_3", [[1, 3]]),  # all columns of the table
        ("1,2,3\n", "column_2 column_5", "has 3 columns, the network was trained on 2"),
    ],
)
def test_columns_are_found_by_name_or_by_position(tmp_path, text, features, expected):
    path = tmp_path / "rows.csv"
    path.write_text(text)
    features = [name.replace("_", " ") for name in features.split()]
    if isinstance(expected, str):
        with pytest.raises(InputError, match=expected):
            read_rows(path, features)
    else:
        rows = read_rows(path, features)
        assert (rows.X.tolist(), rows.lines) == (expected, [1 if text[0] == "1" else 2])


def test_a_row_too_far_from_all_others_is_not_predicted(tmp_path, capsys):
    X = np.random.default_rng(0).normal(size=(60, 2)) / 1e9
    y = np.where(X[:, 0] > 0, "yes", "no")
    fitted = build_pipeline(hidden_units=(8,), epochs=5, random_state=0).fit(X, y)
    model, rows, results = (tmp_path / name for name in ("net.keras", "far.csv", "results"))
    model.write_bytes(export_network(fitted, ["a", "b"]))
    rows.write_text("a,b\n0,0\n1e30,1e30\n")
    _, error = run_and_fail(capsys, "predict", results, model=model, data=rows)
    assert "far.csv, line 3: the network gives no probability" in error
    assert not results.exists()


def test_a_search_whose_networks_diverge_replaces_nothing(own, tmp_path, capsys):
    (tmp_path / "wild.toml").write_text("mlp__model__learning_rate = [1e8]\n")
    earlier = (own / "results" / "tuned.keras").read_bytes()
    (tmp_path / "tuned.keras").write_bytes(earlier)
    options = TOY | {"data": own / "mine.csv", "space": tmp_path / "wild.toml"}
    _, error = run_and_fail(capsys, "tune", tmp_path, **options)
    assert error.startswith("tune: with the best settings found the network diverges on all rows")
    assert (tmp_path / "tuned.keras").read_bytes() == earlier
    assert not (tmp_path / "tuned.csv").exists()


def test_a_search_that_does_not_beat_guessing_replaces_nothing(tmp_path, capsys):
    random = np.random.default_rng(0)
    noise = pd.DataFrame(random.normal(size=(60, 2)), columns=["a", "b"]).round(3)
    noise["bought"] = random.permutation(np.repeat(["no", "yes"], [45, 15]))
    noise.to_csv(tmp_path / "noise.csv", index=False)
    run("tune", tmp_path, **TOY | {"data": tmp_path / "noise.csv"})
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("noise.csv: 60 rows; 2 numbers; class")
    assert out[1].startswith("plan: 3 candidates, ")
    assert out[2].startswith("Nothing here beats guessing: ")
    assert out[2].endswith(" where always guessing no gets 75.0%.")
    written = {path.name: path.read_bytes() for path in tmp_path.glob("tun*")}
    assert len(written) == 5
    run("tune", tmp_path, **TOY | {"data": tmp_path / "noise.csv", "seed": 8})
    assert "  kept:      " in capsys.readouterr().out
    assert written == {path.name: path.read_bytes() for path in tmp_path.glob("tun*")}


@pytest.mark.parametrize(
    ("gains", "guessing", "answer"),
    [
        ([2, 3, 1, 2], 0.5, "use"),
        ([-2, 1, 0, -1], 0.5, "keep"),
        ([0.5, 0.6, -0.1, 0.2], 0.5, "keep"),  # less than a point
        ([5, -2, 4, 1], 0.5, "unclear"),
        ([2, 3, 1, 2], 0.9, "guessing"),
    ],
)
def test_the_answer_follows_the_rule(gains, guessing, answer):
    baseline = np.array([0.8, 0.81, 0.79, 0.8])
    tuned = pd.DataFrame({"accuracy": baseline + np.array(gains) / 100})
    tuned = tuned.assign(baseline_accuracy=baseline, repeat=1, n_test=25, n_train=75)
    measure = MEASURES["accuracy"]
    difference = findings._difference(tuned, "accuracy", "baseline_accuracy", measure)
    guessing = {"label": "no", "accuracy": guessing}
    assert findings._answer(tuned, difference, guessing, measure) == answer


@pytest.mark.parametrize(
    ("folds", "baseline", "guessing", "answer"),
    [
        (4, 1.0, 0.55, "keep"),
        (4, 1.0, 1.0, "guessing"),
        (5, 0.5, 0.5, "unclear"),
        (6, 0.5, 0.5, "use"),
    ],
)
def test_scores_that_are_the_same_in_every_fold(folds, baseline, guessing, answer):
    tuned = pd.DataFrame({"accuracy": [1.0] * folds, "baseline_accuracy": [baseline] * folds})
    tuned, measure = tuned.assign(repeat=1, n_test=25, n_train=75), MEASURES["accuracy"]
    difference = findings._difference(tuned, "accuracy", "baseline_accuracy", measure)
    guessing = {"label": "no", "accuracy": guessing}
    assert findings._answer(tuned, difference, guessing, measure) == answer


@pytest.mark.parametrize(
    ("gains", "answer"),
    [
        ([20, 30, 10, 20], "use"),
        ([-20, 10, 0, -10], "keep"),
        ([5, 6, -1, 2], "keep"),  # less than 1% of 1,000
        ([50, -20, 40, 10], "unclear"),
    ],
)
def test_a_smaller_loss_is_better(gains, answer):
    measure, baseline = MEASURES["mean_absolute_error"], np.array([500, 510, 490, 500])
    tuned = pd.DataFrame({measure.name: baseline - np.array(gains)})
    tuned = tuned.assign(baseline_mean_absolute_error=baseline, repeat=1, n_test=25, n_train=75)
    difference = findings._difference(tuned, *tuned.columns[:2], measure)
    assert difference["difference"] == -np.mean(gains)
    assert findings._answer(tuned, difference, {measure.name: 1000}, measure) == answer
    assert findings._answer(tuned, difference, {measure.name: 400}, measure) == "guessing"


def test_a_table_as_people_have_it_from_tuning_to_predictions(tmp_path, capsys):
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"id": np.arange(90), "size": random.normal(size=90).round(3)})
    frame["town"] = random.choice(["Oslo", "Rome", ""], 90)
    frame.loc[(np.arange(90) % 9 == 0) & (frame["town"] != ""), "size"] = np.nan
    frame["kind"] = np.select([frame["town"] == "Oslo", frame["size"] > 0], ["a", "b"], "c")
    frame.to_csv(tmp_path / "mine.csv", index=False)
    run("tune", tmp_path, **TOY | {"data": tmp_path / "mine.csv", "target": "kind"})
    out = capsys.readouterr().out
    assert out.startswith("mine.csv: 90 rows; 1 number, 1 category, ")
    assert "; left out: id (an id)\n" in out
    assert f"make predict MODEL={tmp_path / 'tuned.keras'} DATA=new.csv" in out
    frame.loc[0, "town"] = "Bergen"
    frame.drop(columns=["id", "kind"])[::-1].to_csv(tmp_path / "new.csv", index=False)
    run("predict", tmp_path, data=tmp_path / "new.csv", model=tmp_path / "tuned.keras")
    assert "note:      town has 1 cell that the network does not know" in capsys.readouterr().out
    predicted = pd.read_csv(tmp_path / "predictions.csv")
    assert predicted["line"].tolist() == [*range(2, 92)]
    probability = predicted[[f"probability of {kind}" for kind in "abc"]].to_numpy()
    np.testing.assert_allclose(probability.sum(axis=1), 1, atol=1e-5)
    assert predicted["class"].tolist() == [*np.array(["a", "b", "c"])[probability.argmax(axis=1)]]


@pytest.fixture(scope="module")
def priced(tmp_path_factory):
    """Tuning a table whose last column is a number."""
    folder = tmp_path_factory.mktemp("priced")
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"size": random.normal(size=90).round(3)})
    frame["town"] = random.choice(["Oslo", "Rome"], 90)
    frame.loc[::9, "size"] = np.nan
    frame["price"] = 2e5 + 3e4 * frame["size"].fillna(0) + 1e4 * (frame["town"] == "Rome")
    frame.to_csv(folder / "mine.csv", index=False)
    numbers = TOY | {"target": "price", "task": "regression", "epochs": 20}
    run("tune", folder, **numbers | {"data": folder / "mine.csv"})
    return folder


def test_a_number_from_tuning_to_predictions(priced, tmp_path, capsys):
    frame = pd.read_csv(priced / "mine.csv")
    tuned, tuning = (pd.read_csv(priced / f"{name}.csv") for name in ("tuned", "tuning"))
    assert {"r2", "squared_error", "mean_absolute_error", "baseline_r2"} <= set(tuned)
    assert "accuracy" not in {*tuned, *tuning}
    best = tuning.groupby("fold")["r2"].max()
    assert tuned["inner_r2"].tolist() == pytest.approx(best[1:].tolist())
    metadata = json.loads((priced / "tuned.json").read_text())
    assert metadata["data"]["task"] == "regression"
    assert metadata["guessing"]["r2"] == 0
    assert metadata["guessing"]["mean_absolute_error"] > tuned["mean_absolute_error"].mean()
    page = (priced / "report.html").read_text()
    assert "R² over the inner folds" in page
    assert "accuracy" not in page
    network = keras.saving.load_model(priced / "tuned.keras", safe_mode=True)
    rows = {
        "numbers": tf.constant(frame[["size"]].to_numpy()),
        "categories": tf.constant(frame[["town"]].to_numpy(str)),
    }
    capsys.readouterr()
    run("predict", tmp_path, data=priced / "mine.csv", model=priced / "tuned.keras")
    assert re.match(r"90 predictions, [\d,]+ to [\d,]+, mean [\d,]+\n", capsys.readouterr().out)
    predicted = pd.read_csv(tmp_path / "predictions.csv")
    assert list(predicted) == ["line", "predicted price"]
    error = np.abs(predicted["predicted price"] - frame["price"]).mean()
    assert error < metadata["guessing"]["mean_absolute_error"]
    np.testing.assert_allclose(predicted["predicted price"], network(rows).numpy()[:, 0])


def test_a_run_with_a_number_is_repeated_from_its_metadata(priced, tmp_path):
    metadata = json.loads((priced / "tuned.json").read_text())
    argv = arguments("tune", metadata)
    assert "--task=regression" in argv
    SCRIPTS["tune"].main([f"--data={priced / 'mine.csv'}", f"--results={tmp_path}", *argv])
    for name in ("tuned.csv", "tuning.csv"):
        assert (tmp_path / name).read_bytes() == (priced / name).read_bytes()


def test_candidates_are_chosen_by_another_score(own, tmp_path, capsys):
    options = TOY | {"data": own / "mine.csv", "scoring": "roc_auc,log_loss,f1"}
    run("tune", tmp_path, **options)
    tuning, tuned = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("tuning", "tuned"))
    best = tuning.groupby("fold")["roc_auc"].max()
    assert tuned["inner_roc_auc"].tolist() == pytest.approx(best[1:].tolist())
    assert {"accuracy", "log_loss", "f1", "baseline_f1", "with_dropout_roc_auc"} <= set(tuned)
    out = capsys.readouterr().out
    assert f"Tuned: ROC AUC {tuned['roc_auc'].mean():.3f} on rows" in out
    guess = "always guessing (yes|no): ROC AUC"
    assert re.search(rf"{guess} [\d.]+ / [\d.]+ / 0.500; log loss .* / 0.69\d; F1 of ", out)
    _, error = run_and_fail(capsys, "tune", tmp_path, **options | {"scoring": "r2"})
    assert "`scoring` of classes must be among accuracy, balanced_accuracy" in error


def test_uneven_classes_are_scored_by_more_than_accuracy(own):
    data = read_dataset(own / "mine.csv", folds=2, target="bought")
    even = dataclasses.replace(data, y=np.resize(["no", "yes"], 90))
    assert [measure.name for measure in reported(even, None)] == ["accuracy"]
    uneven = dataclasses.replace(data, y=np.resize(["no", "yes", "no"], 90))
    names = [measure.name for measure in reported(uneven, ["f1"])]
    assert names == ["f1", "accuracy", "balanced_accuracy", "roc_auc", "log_loss"]
    rows = np.arange(90)
    found = guessing(uneven, reported(uneven, None), [(rows, rows)])
    entropy = -(np.log(1 / 3) + 2 * np.log(2 / 3)) / 3
    expected = {"balanced_accuracy": 0.5, "roc_auc": 0.5, "f1": 0, "log_loss": entropy}
    expected["accuracy"] = 2 / 3
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert (found["label"], rare_class(uneven)) == ("no", "yes")


def test_the_plan_is_recorded_and_verified(own, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(plan, "STEP_SECONDS", 0.025)  # as on a slow machine, which verifies faster
    options = TOY | {"data": own / "mine.csv", "epochs": 9, "folds": None, "minutes": 1}
    run("tune", tmp_path, **options)
    assert "; 5 outer and 2 inner folds; about 1 minute on 2 cores\n" in capsys.readouterr().out
    metadata = json.loads((tmp_path / "tuned.json").read_text())
    planned = {"folds": 5, "inner_folds": 2, "epochs": 9, "batch_size": 16, "halvings": 2}
    assert metadata.items() >= planned.items()
    run("verify", tmp_path, only="tune", data=own / "mine.csv")
    assert capsys.readouterr().out.splitlines()[-1].startswith("2 the same, 0 within noise")


def test_a_search_of_an_earlier_version_is_verified_as_a_full_one(own, tmp_path, capsys):
    options = TOY | {"data": own / "mine.csv", "halvings": 0, "epochs": 2}
    run("tune", tmp_path, **options)
    for path in tmp_path.glob("tun*.json"):
        metadata = json.loads(path.read_text())
        del metadata["halvings"], metadata["batch_size"]
        path.write_text(json.dumps(metadata))
    capsys.readouterr()
    run("verify", tmp_path, only="tune", data=own / "mine.csv")
    assert capsys.readouterr().out.splitlines()[-1].startswith("2 the same, 0 within noise")


def test_a_space_is_read_described_and_written(tmp_path):
    path = tmp_path / "space.toml"
    path.write_text(
        'mlp__model__max_norm = ["none", 3]\n'
        'mlp__model__hidden_dropout = ["none", 0.2]\n'
        "mlp__model__hidden_units = [[8], [4, 4]]\n"
        "mlp__model__learning_rate = {low = 0.001, high = 0.1, log = true}\n"
        "mlp__model__momentum = {low = 0.5, high = 0.9}\n"
        "mlp__batch_size = {low = 8, high = 10}\n"
    )
    space = read_space(path)
    assert space["mlp__model__max_norm"] == [None, 3]
    assert space["mlp__model__hidden_dropout"] == [0, 0.2]
    assert space["mlp__model__hidden_units"] == [(8,), (4, 4)]
    assert space["mlp__model__learning_rate"].support() == (0.001, 0.1)
    assert space["mlp__model__momentum"].support() == (0.5, 0.9)
    drawn = [each["mlp__batch_size"] for each in draw_candidates(space, 50, seed=0)]
    assert sorted(set(drawn)) == [8, 9, 10]
    assert {type(number) for number in drawn} == {int}
    described = describe_space(space)
    path.write_text(format_space(json_round_trip(described)))
    assert describe_space(read_space(path)) == described
    assert format_space(json_round_trip(describe_space(SPACE))) is None

"""`make validate PART=tables`: from any table to predictions, beside scikit-learn's network."""

import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_iris

from experiments.harness import real_tables
from tests.commands import TOY, run

TUNE = {"folds": 3, "inner_folds": 2, "epochs": 30, "candidates": 3}


@pytest.fixture
def folder(tmp_path):
    tables = tmp_path / "tables"
    tables.mkdir()
    load_iris(as_frame=True).frame.to_csv(tables / "iris.csv", index=False)
    load_diabetes(as_frame=True).frame.to_csv(tables / "bodyfat.arff", index=False)  # a number
    (tables / "nothing.csv").write_text("")
    (tables / "README.md").write_text("no table")
    return tables


def test_every_table_has_its_row(folder, tmp_path, capsys, monkeypatch):
    def toy(command, given):
        return run_script(command, (TUNE if command == "tune" else {}) | given)

    run_script = real_tables.run_script
    monkeypatch.setattr(real_tables, "run_script", toy)
    given = {"data": folder, "results": tmp_path / "results", "jobs": TOY["jobs"], "part": "tables"}
    run("validate", **{"folder": given.pop("results")} | given)
    table = pd.read_csv(tmp_path / "results" / "validation-tables.csv").set_index("table")
    assert list(table.index) == ["bodyfat.arff", "iris.csv", "nothing.csv"]
    assert table["outcome"].tolist() == ["predicted", "predicted", "refused"]
    assert table["predictions"].tolist()[:2] == [442, 150]
    assert table.loc["nothing.csv", "answer"] == "tune: nothing.csv is empty"
    assert table["score"].tolist()[:2] == ["r2", "accuracy"]
    assert table.loc["iris.csv", "scikit_learn"] > 0.9 > table.loc["iris.csv", "guessing"]
    assert table["difference"].tolist()[:2] == pytest.approx(
        (table["tuned"] - table["scikit_learn"]).tolist()[:2]
    )
    assert (table["low"] < table["high"])[:2].all()
    assert table["answer"].str.endswith((".", "empty")).all()
    out = capsys.readouterr().out
    assert "nothing.csv: refused: tune: " in out

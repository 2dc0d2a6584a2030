"""The same seed gives the same bytes: of every table, by any number of threads; offline."""

import socket

import pytest

from experiments import (
    baseline,
    compare,
    control,
    dropout_modes,
    hidden,
    predict,
    remedies,
    report,
    tips,
    tune,
    visible,
)
from experiments.harness.schema import ARMS
from tests.conftest import SONAR

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation"),  # Keras, when saving
]
TOY = ["--folds=2", "--epochs=2", f"--data={SONAR}"]


@pytest.fixture
def offline(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("a command wants the network")

    for name in ("create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)
    for name in ("connect", "connect_ex", "bind"):
        monkeypatch.setattr(socket.socket, name, refuse)


@pytest.fixture
def two_settings(monkeypatch):
    monkeypatch.setattr(tips, "TIPS", {1: tips.TIPS[1][:2]})
    pair = [settings for _, settings in tips.TIPS[1]]
    monkeypatch.setattr(tips, "CLAIMS", {"it helps": (1, "better", [pair])})


def make_every_table(folder, rows, jobs):
    """Run every command that makes a table, but for those of times."""
    options = [*TOY, f"--jobs={jobs}", f"--results={folder}"]
    for script in (baseline, visible, hidden, control):
        script.main([*options, "--repeats=2", "--curves"])
    remedies.main([*options, "--repeats=2"])
    compare.main([f"--results={folder}", f"--data={SONAR}"])
    report.main([f"--results={folder}"])
    tips.main([*options, "--repeats=2"])
    dropout_modes.main([*options, "--repeats=2"])
    tune.main([*options, "--inner-folds=2", "--candidates=3"])
    model = folder / "tuned.keras"
    predict.main([f"--model={model}", f"--data={rows}", f"--results={folder}"])


def tables_in(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.csv")}


@pytest.mark.usefixtures("offline", "two_settings")
def test_every_table_is_the_same_by_one_thread_and_by_two(tmp_path):
    rows = tmp_path / "rows.csv"
    lines = SONAR.read_text().splitlines()
    rows.write_text("\n".join(line.rpartition(",")[0] for line in lines) + "\n")
    for jobs in (1, 2):
        make_every_table(tmp_path / str(jobs), rows, jobs)
    one, two = (tables_in(tmp_path / jobs) for jobs in "12")
    assert {name.removesuffix(".csv") for name in one} == {
        *ARMS,
        *(f"{name}-curves" for name in ARMS),
        "summary",
        "curves",
        "remedies",
        "context",
        "comparison",
        "claims",
        "tips",
        "tips-folds",
        "tips-comparison",
        "evaluation",
        "evaluation-folds",
        "evaluation-outputs",
        "tuning",
        "tuned",
        "predictions",
    }
    assert [name for name in one if one[name] != two[name]] == []


def test_the_tutorial_s_way_gives_the_same_by_one_process_and_by_two(tmp_path):
    for jobs in (1, 2):
        hidden.main(
            [
                *TOY,
                "--engine=scikit-learn",
                "--repeats=2",
                f"--jobs={jobs}",
                f"--results={tmp_path / str(jobs)}",
            ]
        )
    one, two = (tables_in(tmp_path / jobs) for jobs in "12")
    assert len(one) == 2
    assert one == two

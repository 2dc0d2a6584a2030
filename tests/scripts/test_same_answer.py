"""The same seed writes the same bytes to every table, with any number of threads; offline."""

import socket

import pytest

from experiments import tips
from experiments.harness.schema import ARMS, TABLES
from tests.commands import run
from tests.conftest import SONAR, contents

pytestmark = pytest.mark.slow
TIMED_OR_VALIDATING = {name for name in TABLES if name.startswith(("benchmark", "validation"))}
A_KIND = {"network-curves"}  # of tables that have names of their own


@pytest.fixture
def offline(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("a command uses the network")

    for name in ("create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)
    for name in ("connect", "connect_ex", "bind"):
        monkeypatch.setattr(socket.socket, name, refuse)


@pytest.fixture
def few_settings(monkeypatch):
    few = {1: [0, 1], 2: [0], 3: [0, 1], 4: [0], 5: [3, 4]}  # of tips 3 and 5 with the reference
    few = {tip: [tips.TIPS[tip][number] for number in numbers] for tip, numbers in few.items()}
    monkeypatch.setattr(tips, "TIPS", few)
    pair = [settings for _, settings in few[1]]
    monkeypatch.setattr(tips, "CLAIMS", {"it helps": (1, "better", pair)})


@pytest.mark.usefixtures("offline", "few_settings")
def test_every_table_is_the_same_with_one_thread_and_with_two(tmp_path):
    rows = tmp_path / "rows.csv"
    lines = SONAR.read_text().splitlines()
    rows.write_text("\n".join(line.rpartition(",")[0] for line in lines) + "\n")
    for jobs in (1, 2):
        folder, options = tmp_path / str(jobs), {"epochs": 2, "jobs": jobs}
        for arm in ARMS:
            run(arm, folder, curves=True, **options)
        for command in ("stopping", "remedies", "compare", "tips", "evaluation"):
            run(command, folder, **options)
        run("report", folder)
        run("tune", folder, candidates=3, **options)
        run("predict", folder, model=folder / "tuned.keras", data=rows)
    one, two = (contents(tmp_path / jobs, "*.csv") for jobs in "12")
    names = {*TABLES, *(f"{arm}-curves" for arm in ARMS)} - TIMED_OR_VALIDATING - A_KIND
    assert {name.removesuffix(".csv") for name in one} == names
    assert [name for name in one if one[name] != two[name]] == []


def test_one_network_after_another_is_the_same_with_one_process_and_with_two(tmp_path):
    for jobs in (1, 2):
        run("hidden", tmp_path / str(jobs), engine="scikit-learn", epochs=2, jobs=jobs)
    one, two = (contents(tmp_path / jobs, "*.csv") for jobs in "12")
    assert len(one) == 2
    assert one == two

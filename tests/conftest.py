"""Fixtures shared by the tests."""

from pathlib import Path

import pytest

from experiments.harness.dataset import read_dataset

SONAR = Path(__file__).parents[1] / "data" / "sonar.csv"


@pytest.fixture(scope="session")
def sonar():
    return read_dataset(SONAR, folds=10)

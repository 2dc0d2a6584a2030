"""Fixtures shared by the tests."""

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from experiments.harness.dataset import read_dataset

SONAR = Path(__file__).parents[1] / "data" / "sonar.csv"


@pytest.fixture(scope="session")
def sonar():
    return read_dataset(SONAR, folds=10)


@pytest.fixture(scope="session")
def committed(tmp_path_factory):
    """The committed README.md and results/: those in the work tree may be a user's own."""
    folder = tmp_path_factory.mktemp("committed")
    archive = subprocess.run(
        ["git", "-C", SONAR.parents[1], "archive", "HEAD", "README.md", "results"],
        capture_output=True,
    )
    if archive.returncode:
        pytest.skip("no git repository to take the committed results from")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(folder, filter="data")
    return folder

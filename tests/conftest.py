"""Shared by the tests: the data, the committed results, and contents of folders."""

import io
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from experiments.harness import files
from experiments.harness.dataset import read_dataset
from experiments.harness.tensorflow import start_tensorflow

REPOSITORY = Path(__file__).parents[1]
SONAR = REPOSITORY / "data" / "sonar.csv"
POSIX_ONLY = pytest.mark.skipif(sys.platform == "win32", reason="needs make or POSIX signals")


def pytest_configure(config):
    saving_by_keras = "ignore:__array__ implementation"
    config.addinivalue_line("filterwarnings", saving_by_keras)


def pytest_collectstart():
    start_tensorflow()  # quietly, before a test module imports it


@pytest.fixture(scope="session")
def sonar():
    return read_dataset(SONAR, folds=10)


@pytest.fixture(scope="session")
def committed(tmp_path_factory):
    """The committed README.md and results/: those in the work tree may be a user's own."""
    folder = tmp_path_factory.mktemp("committed")
    archive = subprocess.run(
        ["git", "-C", REPOSITORY, "archive", "HEAD", "README.md", "results"], capture_output=True
    )
    if archive.returncode:
        pytest.skip("no git repository to take the committed results from")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(folder, filter="data")
    return folder


def contents(folder, pattern="*"):
    """Return the content of every file below a folder except locks; False for folders."""
    return {
        str(path.relative_to(folder)): path.is_file() and path.read_bytes()
        for path in sorted(folder.rglob(pattern))
        if path.name != files.LOCK
    }


def run_python(*arguments, **options):
    """Run Python with the given arguments in a process of its own."""
    options = {"cwd": REPOSITORY, "capture_output": True, "text": True} | options
    return subprocess.run([sys.executable, *arguments], **options)

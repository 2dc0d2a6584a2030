"""The project's own code uses nothing that only POSIX has."""

import pytest

from tests.commands import arguments
from tests.conftest import POSIX_ONLY, run_python

pytestmark = POSIX_ONLY  # elsewhere there is nothing to hide


def run_without_posix(*options):
    done = run_python("-m", "tests.without_posix", "experiments.baseline", *options)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_help_and_a_run_without_posix(tmp_path):
    printed = run_without_posix("--help")
    assert "Baseline: the tutorial's network on the Sonar data, without dropout." in printed
    assert "--epochs" in printed
    run_without_posix(*arguments("baseline", results=tmp_path))
    assert (tmp_path / "baseline.csv").exists()


@pytest.mark.parametrize("use", ["import fcntl", "from os import fork", "import os; os.sysconf"])
def test_posix_is_hidden_from_the_project_only(use):
    for package, fails in (("experiments.harness", True), ("joblib", False)):
        hidden = f"exec({use!r}, globals() | {{'__package__': {package!r}}})"
        done = run_python("-c", f"from tests import without_posix as t; t.hide(); {hidden}")
        assert bool(done.returncode) == fails

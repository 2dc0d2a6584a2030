"""Results of earlier runs, and commands that are refused beside a copy of them."""

import shutil

import pytest

from experiments.harness.schema import ARMS
from tests.commands import SCRIPTS, run
from tests.conftest import contents


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Results of earlier runs."""
    folder = tmp_path_factory.mktemp("made") / "results"
    for arm in ARMS:
        run(arm, folder, curves=True)
    run("compare", folder)
    run("tune", folder, candidates=1)
    return folder


@pytest.fixture
def refused(made, tmp_path, capsys):
    """Run a command with bad input beside a copy of the results, and check its answer."""
    shutil.copytree(made, tmp_path / "results")

    def check(command, *options, says):
        options = [option.format(here=tmp_path) for option in options]
        before = contents(tmp_path)
        with pytest.raises(SystemExit, match=r"^2$"):
            SCRIPTS[command].main([f"--results={tmp_path / 'results'}", *options])
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert err.startswith(f"{command}: ")
        assert err.strip().isprintable()
        assert says in err
        assert contents(tmp_path) == before

    return check

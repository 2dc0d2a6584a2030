"""Run the commands at toy size."""

import subprocess
import sys
from importlib import import_module

import pytest

from experiments.harness.settings import COMMANDS, OPTIONS
from tests.conftest import REPOSITORY, SONAR

MODULES = {name: command.module for name, command in COMMANDS.items() if command.module}
SCRIPTS = {name: import_module(module) for name, module in MODULES.items()}
READERS = [name for name in SCRIPTS if "data" in COMMANDS[name].options]
TOY = {
    "folds": 2,
    "repeats": 2,
    "seeds": 1,
    "epochs": 1,
    "jobs": 1,
    "inner_folds": 2,
    "candidates": 2,
}


def arguments(command, **options):
    """Return the arguments of a command at toy size; None leaves an option out."""
    toy = {"data": SONAR} | TOY
    options = {name: toy[name] for name in COMMANDS[command].options if name in toy} | options
    given = {OPTIONS[name].flag: value for name, value in options.items() if value is not None}
    return [flag if value is True else f"{flag}={value}" for flag, value in given.items()]


def run(command, folder, **options):
    """Run a command at toy size in this process."""
    SCRIPTS[command].main(arguments(command, results=folder, **options))


def start(command, folder, **options):
    """Start a command at toy size as a process, the first of a group."""
    return subprocess.Popen(
        [sys.executable, "-m", MODULES[command], *arguments(command, results=folder, **options)],
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True},
        **{"cwd": REPOSITORY, "start_new_session": True},
    )


def run_and_fail(capsys, command, folder, **options):
    """Run a command that reports a user error; return what it printed and the error."""
    capsys.readouterr()
    with pytest.raises(SystemExit, match=r"^2$"):
        run(command, folder, **options)
    out, err = capsys.readouterr()
    assert err.startswith(f"{command}: ")
    assert err.count("\n") == 1
    return out, err

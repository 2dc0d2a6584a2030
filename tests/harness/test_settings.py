"""Options: defined once, checked, recorded in metadata and repeated from it; exit statuses."""

import ast
import errno
import json
import subprocess
import sys

import pytest

from experiments.harness import cli, files, settings
from experiments.harness.errors import InputError
from experiments.harness.settings import COMMANDS, OPTIONS, READING
from tests.conftest import POSIX_ONLY, REPOSITORY, run_python

SCRIPTS = [name for name, command in COMMANDS.items() if command.module]
VALUES = {"target": "cost ($)", "engine": "scikit-learn", "keep": ["a b", "3"], "drop": ["id"]}
VALUES |= {"drop_unlabelled": True, "task": "regression"}
VALUES["scoring"] = ["r2", "mean_absolute_error"]  # others: one more than the default, or 11
VALUES["halvings"] = 9


def parsed(command, *argv):
    return cli.parse(command, "What it does.", argv)


def test_options_are_complete():
    used = {name for c in COMMANDS.values() for name in (*c.options, *c.defaults)}
    assert used == set(OPTIONS)
    for option in OPTIONS.values():
        assert option.help
        assert option.default is False if option.type is None else option.type.metavar


@pytest.mark.parametrize("command", SCRIPTS)
def test_help_and_defaults(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    taken = COMMANDS[command]
    defaults = {name: taken.default(name) for name in taken.options}
    assert vars(parsed(command)) == defaults
    with pytest.raises(SystemExit, match="0"):
        parsed(command, "--help")
    printed = capsys.readouterr().out
    assert "What it does." in printed
    for name, option in OPTIONS.items():
        assert (f"  {option.flag} " in printed) == (name in taken.options)
        assert option.describe(taken.default(name)) in printed or name not in taken.options


def test_defaults_that_differ():
    repeats = {name: c.default("repeats") for name, c in COMMANDS.items() if "repeats" in c.options}
    special = {"tips": 20, "validate": None, "all": 60}
    assert repeats == dict.fromkeys(repeats, 10) | special
    seeds = {name: c.default("seeds") for name, c in COMMANDS.items() if "seeds" in c.options}
    assert seeds == dict.fromkeys(seeds, 1) | {"tips": 10, "validate": None, "all": 7}


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("--repeats=0", "`repeats` must be a whole number from 1 to 10000, got 0"),
        ("--folds=1", "`folds` must be a whole number from 2 to 10000, got 1"),
        ("--epochs=ten", "`epochs` must be a whole number from 1 to 2147483647, got 'ten'"),
        ("--epochs=2147483648", "from 1 to 2147483647, got 2147483648"),
        ("--seed=-1", "`seed` must be a whole number from 0 to 4294967295, got -1"),
        ("--seed=4294967296", "got 4294967296"),
        ("--seed=1.5", "got '1.5'"),
        ("--jobs=" + "9" * 5000, "`jobs` must be"),
        ("--jobs=", "got ''"),
        ("--results=", "`results` must be a path, got ''"),
        ("--inner-folds=1", "`inner-folds` must be"),
        ("--candidates=0", "`candidates` must be"),
        ("--minutes=0", "`minutes` must be a whole number from 1 to 10000, got 0"),
        ("--halvings=10", "`halvings` must be a whole number from 0 to 9, got 10"),
        ("--engine=abacus", "`engine` must be one of stacked, scikit-learn, got 'abacus'"),
        (
            "--part=half",
            "`part` must be one of engines, search, tables, kills, null, answers, all, got 'half'",
        ),
        ("--only=baseline,all", "`only` must be one or more of baseline, visible, hidden"),
        ("--only=", "`only` must be"),
        ("--task=ranking", "`task` must be one of classification, regression, got 'ranking'"),
        ("--scoring=auc", "`scoring` must be one or more of accuracy, balanced_accuracy, roc_auc"),
        ("--repeat=3", "unrecognized arguments: --repeat=3"),
        ("--target", "argument --target: expected one argument"),
        ("--x=a\nb", "unrecognized arguments: --x=a b"),
    ],
)
def test_invalid_options(option, expected, capsys):
    name = option[2:].partition("=")[0].replace("-", "_")
    command = next((c for c in COMMANDS if name in COMMANDS[c].options), "baseline")
    with pytest.raises(SystemExit) as caught:
        parsed(command, option)
    out, err = capsys.readouterr()
    assert (caught.value.code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"{command}: ")
    assert err.endswith("; see --help\n")
    assert expected in err


def test_bounds_are_valid():
    limits = parsed("baseline", "--epochs=2147483647", "--seed=4294967295", "--folds=2")
    assert (limits.epochs, limits.seed, limits.folds) == (2**31 - 1, 2**32 - 1, 2)
    assert parsed("verify", "--only=tune, baseline").only == ["tune", "baseline"]


@pytest.mark.parametrize("command", SCRIPTS)
def test_a_run_is_repeated_from_its_metadata(command):
    changed = [OPTIONS[name] for name in COMMANDS[command].options if OPTIONS[name].recorded]
    values = {o.name: VALUES.get(o.name) or (o.default or 10) + 1 for o in changed}
    given = {name: ",".join(v) if isinstance(v, list) else v for name, v in values.items()}
    flags = [o.flag if o.type is None else f"{o.flag}={given[o.name]}" for o in changed]
    options = parsed(command, *flags)
    reading = {name: values.pop(name) for name in READING if name in values}
    assert settings.recorded(command, options) == values
    metadata = json.loads(json.dumps(values | {"data": reading}))
    assert parsed(command, *settings.arguments(command, metadata)) == options


def test_metadata_of_tables():
    assert settings.recorded("tune", parsed("tune", "--jobs=3", "--results=x")) == {"seed": 7}
    planned = parsed("tune", "--minutes=3", "--inner-folds=5", "--candidates=30", "--halvings=0")
    metadata = settings.recorded("tune", planned)
    assert metadata == {"seed": 7, "inner_folds": 5, "candidates": 30, "halvings": 0}
    metadata |= {"candidates": [{}, {}], "data": {"target": "-1"}, "repeats": 1, "space": {}}
    expected = ["--target=-1", "--inner-folds=5", "--candidates=2", "--halvings=0"]
    assert settings.arguments("tune", metadata)[-4:] == expected
    assert settings.arguments("report", metadata) == []


def test_make_variables_count_only_with_the_flag(monkeypatch):
    words = "baseline TARGET=a%20%2520%0Ab CURVES=yes VERBOSE=No CANDIDATES=3"
    monkeypatch.setenv(settings.FROM_MAKE, words)
    assert parsed("baseline") == parsed("baseline", "--repeats=10")
    assert parsed("baseline", "--from-make") == parsed("baseline", "--target=a %20\nb", "--curves")


def test_settings_need_no_installation():
    path = settings.__file__
    with open(path) as file:
        ast.parse(file.read(), feature_version=(3, 8))
    run_python("-I", "-S", path, "help", check=True)


def fail_with(error):
    def action():
        raise error

    return action


NOTHING = "interrupted; nothing was written"


@pytest.mark.parametrize(
    ("error", "text", "written", "status", "line"),
    [
        (InputError("a\n b"), None, False, 2, "a b"),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            None,
            False,
            2,
            "No space left on device",
        ),
        (KeyboardInterrupt(), None, False, 130, NOTHING),
        (KeyboardInterrupt(), None, True, 130, "interrupted; what was written before is whole"),
        (KeyboardInterrupt(), "run it again", True, 130, "interrupted; run it again"),
    ],
)
def test_errors_are_reported_on_one_line(error, text, written, status, line, capsys, monkeypatch):
    monkeypatch.setattr(files, "written", lambda: written)
    with pytest.raises(SystemExit, match=str(status)):
        cli.run_command("tune", fail_with(error), text)
    assert capsys.readouterr() == ("", f"tune: {line}\n")


def test_other_errors_are_raised():
    with pytest.raises(OSError, match="odd"):
        cli.run_command("tune", fail_with(OSError("odd")))


SCRIPT = """
import signal, sys, threading, time
from experiments.harness import cli
__package__ = "experiments"  # as a script of the study
def action():
    threading.Thread(target=time.sleep, args=(60,)).start()
    print("so far")
    signal.raise_signal(signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)
cli.run_command("tune", action)
"""


@POSIX_ONLY
def test_an_interrupt_does_not_wait_for_threads():
    done = run_python("-c", SCRIPT, timeout=20)
    assert (done.returncode, done.stdout) == (130, "so far\n")
    assert done.stderr == f"tune: {NOTHING}\n"


@POSIX_ONLY
def test_a_closed_pipe():
    script = "from experiments.harness import cli\ncli.run_command('x', lambda: print('y' * 10**6))"
    command, pipe = [sys.executable, "-c", script], subprocess.PIPE
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=pipe, stderr=pipe)
    process.stdout.close()
    assert (process.stderr.read(), process.wait()) == (b"", 141)
    process.stderr.close()

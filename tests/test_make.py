"""make: values arrive exactly as typed, and what no target takes is refused."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.harness.settings import COMMANDS, OPTIONS
from tests.conftest import POSIX_ONLY, REPOSITORY

NO_MAKE = pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
pytestmark = [POSIX_ONLY, NO_MAKE]
PRINT_OPTIONS = """
import json, sys
sys.path.insert(0, {repository!r})
from experiments.harness import cli, settings
(command,) = [c.name for c in settings.COMMANDS.values() if c.module == sys.argv[1]]
options = vars(cli.parse(command, "", sys.argv[2:]))
sys.stdout.write(json.dumps([command, options], default=str) + "\\n")
"""
CLEAN = {
    name: value
    for name, value in os.environ.items()
    if name.lower() not in OPTIONS and not name.startswith(("MAKE", "MFLAGS"))
}


@pytest.fixture
def make(tmp_path):
    """Run make with scripts replaced by one that prints its options."""
    script = tmp_path / "print_options.py"
    script.write_text(PRINT_OPTIONS.format(repository=str(REPOSITORY)))
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "installed").touch()

    def run(*arguments, environment=()):
        before = sorted(tmp_path.rglob("*"))
        fixed = [f"VENV={tmp_path}/venv", f"PYTHON={sys.executable}"]
        done = subprocess.run(
            ["make", *fixed, f"RUN={sys.executable} {script}", *arguments],
            cwd=REPOSITORY,
            env=CLEAN | dict(environment),
            capture_output=True,
            text=True,
            errors="surrogateescape",
        )
        assert sorted(tmp_path.rglob("*")) == before
        return done

    return run


def options_of(done):
    assert done.returncode == 0, done.stderr
    return dict(map(json.loads, done.stdout.splitlines()))


VALUES = [
    'a"; touch x; "',
    "cost ($)",
    "`touch x`",
    "$(shell touch x) $(error x) ${DATA} $@ $$ $",
    "-x",
    "--seed=3",
    "two  words ",
    "# 'quotes' \"quotes\"",
    "%20%0A 100%",
    "a\nb\n",
    "a\tb\\",
    "a,b)(c=d:=e",
    "~ * ? [a] {a,b} > < | & ; !",
    "größe 日本 \udcff",
    "",
]


@pytest.mark.parametrize("number", range(0, len(VALUES), 2))
def test_values_arrive_as_typed(make, tmp_path, number):
    texts = [value.replace("touch x", f"touch {tmp_path}/x") for value in VALUES]
    first, second = texts[number], texts[number - 1]
    done = make("tune", f"TARGET={first}", f"SCHEDULER={second}", f"RESULTS=./{first}/x")
    options = options_of(done)["tune"]
    assert done.stderr == ""
    assert (options["target"], options["scheduler"]) == (first, second)
    assert options["results"] == str(Path(first) / "x")
    assert options["seed"] == 7


def test_every_target_takes_its_options(make):
    """And no others, though several targets run: the Makefile and the settings agree."""
    scripts = [name for name, command in COMMANDS.items() if command.module]
    taken = {name for command in scripts for name in COMMANDS[command].options}
    values = {name: OPTIONS[name].default for name in taken} | {"curves": 1, "verbose": 0}
    values |= {"seed": 12, "minutes": 5, "halvings": 1, "scoring": "f1,r2"}
    values |= {"inner_folds": 3, "candidates": 4, "batch_size": 8}
    values |= {"keep": "a,b c", "drop": "3", "drop_unlabelled": 1}
    values |= {"target": "t", "scheduler": "s", "space": "p", "only": "tune,tips", "before": "b"}
    done = make("-j2", *scripts, *(f"{OPTIONS[name].variable}={values[name]}" for name in values))
    values |= {"curves": True, "verbose": False, "only": ["tune", "tips"]}
    values |= {"keep": ["a", "b c"], "drop": ["3"], "drop_unlabelled": True}
    values["scoring"] = ["f1", "r2"]
    values = json.loads(json.dumps(values, default=str))
    assert done.stderr == ""
    expected = {name: {key: values[key] for key in COMMANDS[name].options} for name in scripts}
    assert options_of(done) == expected


@pytest.mark.parametrize("repeats", [None, 4])
def test_all(make, repeats):
    target = "a  $(b) 'c'\n\\d "
    done = make("-j2", "all", f"TARGET={target}", *([f"REPEATS={repeats}"] if repeats else []))
    steps = done.stderr.splitlines()
    assert [step.partition(":")[0] for step in steps] == [f"step {n} of 9" for n in range(1, 10)]
    order = [json.loads(line)[0] for line in done.stdout.splitlines()]
    assert sorted(order[:4]) == ["baseline", "control", "hidden", "visible"]
    assert order[4:8] == ["stopping", "remedies", "tips", "evaluation"]
    assert order[8:10] == ["tune", "compare"]
    assert order[10:] == ["figures", "report"]
    found = options_of(done)
    for name in (*order[:6], "compare"):
        assert found[name]["repeats"] == (repeats or COMMANDS["all"].default("repeats"))
        seeds = 10 if name == "remedies" else COMMANDS["all"].default("seeds")
        assert found[name]["seeds"] == seeds
        assert found[name]["target"] == target
    assert found["tips"]["repeats"] == (repeats or 20)
    assert all(found[name]["curves"] for name in order[:4])


def test_make_alone_shows_the_first_targets(make):
    done = make()
    assert (done.returncode, done.stderr) == (0, "")
    *first, more = done.stdout.splitlines()
    assert [line.split()[1] for line in first] == [
        "baseline",
        "visible",
        "hidden",
        "tune",
        "compare",
    ]
    assert "make help" in more


@pytest.mark.parametrize(
    ("arguments", "unknown", "known"),
    [
        ("baseline EPOCH=3", ["EPOCH"], "baseline takes REPEATS, SEEDS, FOLDS, EPOCHS"),
        ("tune data=mine.csv", ["data"], "tune takes FOLDS"),
        ("baseline visible CANDIDATES=3 x=1", ["CANDIDATES", "x"], "baseline visible"),
        ("-j4 all ENGINE=stacked", ["ENGINE"], "all takes REPEATS"),
        ("lint SEED=1", ["SEED"], "lint takes PYTHON, PYTEST, RUN, VENV"),
        ("-k clean EPOCHS=1 baseline DATE=1", ["DATE"], "clean baseline takes"),
        ("EPOCHS=3", ["EPOCHS"], "start takes PYTHON"),
        ("tune a;touch${IFS}x=1", ["a;touchx"], "tune takes"),
        ("tune `x`$$(y)'\"=1", ["`x`$(y)\\'\""], "tune takes"),
    ],
)
def test_other_variables_are_refused_before_anything_happens(
    make, tmp_path, arguments, unknown, known
):
    (tmp_path / "venv" / "installed").unlink()  # an installation would come first
    done = make(*arguments.split(" "))
    assert (done.returncode, done.stdout) == (2, "")
    line, *others = done.stderr.splitlines()
    assert line.startswith("make: unknown variable ")
    assert all(other.startswith(("make: *** ", "make: Target ")) for other in others)  # its own
    assert known in line
    assert all(f"'{name}'" in line for name in unknown)


@pytest.mark.parametrize("flags", [[], ["-e"]])
def test_the_environment_is_not_used(make, flags):
    environment = {"DATA": "$(shell touch x)", "SEED": "3", "REPEATS": "4"}
    done = make(*flags, "tune", "SEED=5", environment=environment)
    assert done.stderr == "make: not using DATA from the environment; use make tune DATA=...\n"
    assert options_of(done)["tune"]["data"] == "data/sonar.csv"
    assert options_of(done)["tune"]["seed"] == 5


def test_help_lists_targets_and_variables(make):
    done = make("help")
    assert (done.returncode, done.stderr) == (0, "")
    for name, command in COMMANDS.items():
        assert f"  make {name} " in done.stdout
        assert all(f"  {OPTIONS[option].variable}=" in done.stdout for option in command.options)


AUDITS = [
    ("echo All is well >&2", "All is well\n", []),
    ("echo keras 3 CVE-1; echo Found 1 >&2; exit 1", "", ["keras 3 CVE-1"]),
    ("seq 30 >&2; exit 1", "", ["make audit: needs the network to look packages up; "]),
    (None, "", ["make audit: needs pip-audit or a package index to install it from; "]),
]


@pytest.mark.parametrize(("found", "out", "lines"), AUDITS)
def test_an_audit_says_what_it_finds_or_needs(tmp_path, found, out, lines):
    """By a pip-audit that is installed; there is none, and none can be installed, if it fails."""
    scripts = {
        "pip-audit": f'[ "$1" = --version ] && exit {int(found is None)}\n{found}',
        "python": f'[ "$2" = venv ] && exit 1\nexec "{sys.executable}" "$@"',
    }
    for name, script in scripts.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        ["make", "audit", f"VENV={tmp_path}/venv", f"PYTHON={tmp_path}/python"],
        cwd=REPOSITORY,
        env=CLEAN | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2 if lines else 0, out)
    said = [line for line in done.stderr.splitlines() if not line.startswith("make: *** ")]
    assert len(said) == len(lines)
    assert all(line.startswith(start) for line, start in zip(said, lines, strict=True))

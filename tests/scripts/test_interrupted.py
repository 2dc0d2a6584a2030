"""Killed at any moment, or run at once: every table is the old one or the new one, whole."""

import contextlib
import hashlib
import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from experiments.harness import files, kills, store
from experiments.harness.schema import ARMS
from tests.commands import start
from tests.conftest import POSIX_ONLY, REPOSITORY, SONAR, contents

pytestmark = [pytest.mark.slow, POSIX_ONLY]
KILLS = 4  # make validate PART=kills has more, of every command
TOY = {"repeats": 1, "epochs": 2}


def side_by_side(function, numbers):
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(function, numbers))


@pytest.fixture(scope="module", autouse=True)
def interrupts_arrive():
    """Even if the tests run in the background of a shell script: processes inherit SIG_IGN."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def generations(tmp_path_factory):
    """The files of one seed, those of another, and the seconds that a run takes."""
    folders = [tmp_path_factory.mktemp(name) for name in ("old", "new")]
    started = time.perf_counter()
    for folder, seed in zip(folders, (7, 8), strict=True):
        assert start("baseline", folder, seed=seed, **TOY).communicate()[1] == ""
    return *folders, (time.perf_counter() - started) / 2


def check_whole(folder, old, new):
    """Every table is one of the two, to the byte; all metadata belong to one of the tables."""
    known = contents(old, "*.csv"), contents(new, "*.csv")
    assert known[0].keys() == known[1].keys()
    for path in folder.glob("*.csv"):
        assert path.read_bytes() in [tables[path.name] for tables in known]
    checksums = {hashlib.sha256(table).hexdigest() for each in known for table in each.values()}
    for path in folder.glob("*.json"):
        assert json.loads(path.read_text())[store.CHECKSUM] in checksums


def check_recovered(folder, old, new):
    """The next process finds all files of one run, and no others."""
    store.read_arms(folder)
    assert contents(folder, "*.csv") in (contents(old, "*.csv"), contents(new, "*.csv"))
    assert contents(folder).keys() == contents(old).keys()


def test_killed_at_any_moment(generations, tmp_path):
    old, new, seconds = generations

    def kill(number):
        return any(was_killed(random.Random(8 * number + times), number) for times in range(8))

    def was_killed(generator, number):
        """Return False if the run was done before it could be killed."""
        folder = tmp_path / str(number)
        shutil.copytree(old, folder, dirs_exist_ok=True)
        process = start("baseline", folder, seed=8, **TOY)
        time.sleep(generator.uniform(0, seconds))
        by = generator.choice([signal.SIGKILL, signal.SIGTERM])
        process.send_signal(by)
        process.communicate()
        check_whole(folder, old, new)
        check_recovered(folder, old, new)
        return process.returncode == -by

    assert all(side_by_side(kill, range(KILLS)))
    following = start("baseline", tmp_path / "0", seed=8, **TOY)
    assert following.communicate()[1] == ""
    assert contents(tmp_path / "0", "*.csv") == contents(new, "*.csv")


WRITER = """
import itertools, pathlib, sys, time
from experiments.harness.files import write_together
folder, *generations = map(pathlib.Path, sys.argv[1:])
contents = [{path.name: path.read_bytes() for path in each.glob("[!.]*")} for each in generations]
started = time.perf_counter()
for each in (*contents, *contents):
    write_together(folder, each)
print((time.perf_counter() - started) / 4, flush=True)
for each in itertools.cycle(contents):
    write_together(folder, each)
"""


def test_killed_while_it_writes(generations, tmp_path):
    """A process that only writes the files of one run and those of the other, in turn."""
    old, new, _ = generations
    shutil.copytree(old, tmp_path, dirs_exist_ok=True)
    cut, found = set(), set()
    for number in range(20 * KILLS):
        command = [sys.executable, "-c", WRITER, tmp_path, old, new]
        writer = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE)
        cycle = float(writer.stdout.readline())
        time.sleep(random.Random(number).uniform(0, 4 * cycle))
        writer.kill()
        writer.communicate()
        cut |= {path.name for path in tmp_path.glob(".*")}
        check_whole(tmp_path, old, new)
        check_recovered(tmp_path, old, new)
        found.add(contents(tmp_path, "*.csv") == contents(new, "*.csv"))
        if number >= KILLS and len(found) == 2 and files.STAGE in cut:
            break
    assert files.STAGE in cut  # it was killed half-way; test_store.py has every single step
    assert found == {True, False}


@pytest.mark.parametrize("engine", ["stacked", "scikit-learn"])
def test_interrupted_at_any_moment(generations, tmp_path, engine):
    """As by Ctrl-C: the signal goes to all processes of the terminal."""
    longest = generations[-1] * (1 if engine == "stacked" else 2.5)

    def interrupt(number):
        process = start("baseline", tmp_path / str(number), engine=engine, jobs=2, seed=8, **TOY)
        time.sleep(0.06 if number == 0 else random.Random(number).uniform(0.15, longest))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        return process.communicate(), process.returncode, (tmp_path / str(number)).exists()

    outcomes = side_by_side(interrupt, range(4))
    # On a machine whose speed changes, all of these moments may be too early or too late.
    further = itertools.count(4)
    while not any(status == 130 for _, status, _ in outcomes) and len(outcomes) < 40:
        outcomes.append(interrupt(next(further)))
    for (out, err), status, exists in outcomes:
        if status == 130:
            line, *others = err.splitlines()
            written = ("nothing was written", "what was written before is whole")
            assert (out, line) in [("", f"baseline: interrupted; {text}") for text in written]
            assert not others or "loky" in others[0]  # which may warn of what it cleans up
        elif status:  # within an import, Python or a package may answer with a traceback
            assert (status in (1, -signal.SIGINT), out) == (True, "")
            assert "import" in err or (status, err) == (-signal.SIGINT, "")  # before Python runs
            assert not exists
        else:
            assert (err, len(out.splitlines())) == ("", 3)
    assert any(status == 130 for _, status, _ in outcomes)


def test_workers_end_with_a_run_that_is_killed(tmp_path):
    running = start("baseline", tmp_path, engine="scikit-learn", jobs=2, epochs=5000)

    def others():
        """Return how many other processes its group has."""
        listed = subprocess.run(["ps", "-eo", "pgid="], capture_output=True, text=True).stdout
        return listed.split().count(str(running.pid)) - (running.poll() is None)

    try:
        while others() < 4:  # two workers, and two of joblib's that clean up
            assert running.poll() is None
            time.sleep(0.2)
        time.sleep(3)  # they import TensorFlow, or train
        running.kill()
        running.communicate(timeout=60)
        deadline = time.monotonic() + 30
        while others() and time.monotonic() < deadline:
            time.sleep(0.2)
        assert others() == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)


def test_all_arms_and_the_same_one_at_once(tmp_path):
    """`make -j4`, and two more runs of an arm at the same time, into the same folder."""
    twins = [start("baseline", tmp_path, **TOY) for _ in range(2)]
    variables = ["FOLDS=2", "REPEATS=1", "EPOCHS=2", "JOBS=1", f"DATA={SONAR}"]
    variables += [f"RUN={sys.executable} -m", f"RESULTS={tmp_path}"]
    command = ["make", "--no-print-directory", "-j4", "--old-file=.venv/installed"]
    options = {"env": os.environ | {"MAKEFLAGS": ""}, "cwd": REPOSITORY, "text": True}
    made = subprocess.run([*command, *ARMS, *variables], capture_output=True, **options)
    assert [twin.communicate()[1] for twin in twins] == ["", ""]
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.count("written: ") == 4
    arms = store.read_arms(tmp_path)
    assert list(arms) == list(ARMS)
    summary = store.read_table(tmp_path, "summary")
    assert summary["experiment"].tolist() == list(ARMS)
    means = [arms[name]["accuracy"].mean() for name in ARMS]
    assert summary["mean_accuracy"].tolist() == pytest.approx(means, abs=0)
    assert start("baseline", tmp_path / "alone", **TOY).communicate()[1] == ""
    alone = (tmp_path / "alone" / "baseline.csv").read_bytes()
    assert (tmp_path / "baseline.csv").read_bytes() == alone
    assert {path.name for path in tmp_path.glob(".*")} == {files.LOCK}


def test_the_check_of_kills():
    """`make validate PART=kills`, of one command: one kill half-way, and one while it writes."""
    ((line, wrong),) = kills.check_kills(SONAR, 2, {"evaluation": {"repeats": 1}})
    assert wrong == []
    assert re.match(r"evaluation: [12] kills in runs of \d+\.\d s: [12] left earlier results", line)


def test_the_check_of_kills_finds_what_is_wrong(generations):
    old, new, _ = generations
    torn = shutil.copytree(old, old.parent / "torn")
    before, after = kills._contents(old), kills._contents(new)
    assert kills._look(torn, before, after) == ("earlier", [])
    shutil.copy(new / "summary.csv", torn)
    state, wrong = kills._look(torn, before, after)
    assert (state, len(wrong)) == ("torn", 2)
    assert "summary.csv was not written by this project, or was changed since" in wrong[0]
    shutil.copytree(new, torn, dirs_exist_ok=True)
    assert kills._look(torn, before, after) == ("new", [])

"""Cut off at any moment, or run at once: every table is the old one or the new one, whole."""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from experiments.harness import files, store
from experiments.harness.schema import ARMS
from tests.conftest import SONAR
from tests.scripts.test_scripts import REPOSITORY, run_as_a_process

pytestmark = pytest.mark.slow
TOY = ["--folds=2", "--repeats=1", "--epochs=2", f"--data={SONAR}", "--jobs=1"]
KILLS = 50


def start(folder, *options, script="baseline"):
    return subprocess.Popen(
        [sys.executable, "-m", f"experiments.{script}", *TOY, f"--results={folder}", *options],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def side_by_side(function, arguments):
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(function, arguments))


@pytest.fixture(scope="module", autouse=True)
def interrupts_arrive():
    """Even where the tests run in the background of a script: processes inherit deafness."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def generations(tmp_path_factory):
    """The files of one seed and those of another, and how long a run takes."""
    folders = [tmp_path_factory.mktemp(name) for name in ("old", "new")]
    started = time.perf_counter()
    for folder, seed in zip(folders, (7, 8), strict=True):
        process = start(folder, f"--seed={seed}")
        assert process.communicate()[1] == ""
    return *folders, (time.perf_counter() - started) / 2


def names_in(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != files.LOCK)


def tables_of(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.csv"))}


def check_whole(folder, old, new):
    """Every table is one of the two, to the byte; every record is one, and of a table of theirs."""
    known = tables_of(old), tables_of(new)
    assert known[0].keys() == known[1].keys()
    for name, content in tables_of(folder).items():
        assert content in (known[0][name], known[1][name])
    checksums = {hashlib.sha256(content).hexdigest() for each in known for content in each.values()}
    for path in folder.glob("*.json"):
        assert json.loads(path.read_text())[store.CHECKSUM] in checksums


def check_recovered(folder, old, new):
    """What the next to come sees: all of one run, and nothing else lies about."""
    store.read_arms(folder)
    assert tables_of(folder) in (tables_of(old), tables_of(new))
    assert names_in(folder) == names_in(old)


def test_killed_at_any_moment(generations, tmp_path):
    old, new, seconds = generations

    def kill(number):
        return any(survives(random.Random(8 * number + times), number) for times in range(8))

    def survives(generator, number):
        """False if the run was done before it could be killed."""
        folder = tmp_path / str(number)
        shutil.copytree(old, folder, dirs_exist_ok=True)
        process = start(folder, "--seed=8")
        time.sleep(generator.uniform(0, seconds))
        by = generator.choice([signal.SIGKILL, signal.SIGTERM])
        process.send_signal(by)
        process.communicate()
        check_whole(folder, old, new)
        check_recovered(folder, old, new)
        return process.returncode == -by

    assert all(side_by_side(kill, range(KILLS)))
    process = start(tmp_path / "0", "--seed=8")  # and the next run just works
    assert process.communicate()[1] == ""
    assert tables_of(tmp_path / "0") == tables_of(new)


WRITER = """
import itertools, pathlib, sys, time
from experiments.harness.files import write_together
folder, *generations = map(pathlib.Path, sys.argv[1:])
contents = [{path.name: path.read_bytes() for path in each.iterdir()} for each in generations]
started = time.perf_counter()
for each in (*contents, *contents):
    write_together(folder, each)
print((time.perf_counter() - started) / 4, flush=True)
for each in itertools.cycle(contents):
    write_together(folder, each)
"""


def test_killed_while_it_writes(generations, tmp_path):
    """A process that does nothing but write the files of one run and of the other, in turn."""
    old, new, _ = generations
    shutil.copytree(old, tmp_path, dirs_exist_ok=True)
    cut, found = set(), set()
    for number in range(5 * KILLS):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, tmp_path, old, new],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
        )
        cycle = float(writer.stdout.readline())
        time.sleep(random.Random(number).uniform(0, 4 * cycle))
        writer.kill()
        writer.communicate()
        cut |= {name for name in names_in(tmp_path) if name.startswith(".")}
        check_whole(tmp_path, old, new)
        check_recovered(tmp_path, old, new)
        found.add(tables_of(tmp_path) == tables_of(new))
        if number >= KILLS and len(found) == 2 and files.STAGE in cut:
            break
    assert files.STAGE in cut  # it was met half written; test_tables has every single step
    assert found == {True, False}


@pytest.mark.parametrize("engine", ["stacked", "scikit-learn"])
def test_interrupted_at_any_moment(generations, tmp_path, engine):
    """As Ctrl-C does it: the signal goes to all processes of the terminal."""
    *_, seconds = generations
    longest = seconds * (1 if engine == "stacked" else 2.5)

    def interrupt(number):
        folder = tmp_path / str(number)
        process = start(folder, f"--engine={engine}", "--jobs=2", "--seed=8")
        time.sleep(0.06 if number == 0 else random.Random(number).uniform(0.15, longest))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        return process.communicate(), process.returncode

    outcomes = side_by_side(interrupt, range(8))
    for (out, err), status in outcomes:
        if status:
            assert (status, out) == (130, "")
            assert err in (
                "baseline: interrupted; nothing was written\n",
                "baseline: interrupted; what was written before is whole\n",
            )
        else:
            assert (err, len(out.splitlines())) == ("", 3)
    assert sum(status == 130 for _, status in outcomes) >= 4


def test_all_arms_and_the_same_one_at_once(tmp_path):
    """`make -j4`, and two more runs of an arm beside it into the same folder."""
    twins = [start(tmp_path, "--seed=7") for _ in range(2)]
    made = subprocess.run(
        [
            "make",
            "--no-print-directory",
            "-j4",
            "--old-file=.venv/installed",
            f"RUN={sys.executable} -m",
            *ARMS,
            f"RESULTS={tmp_path}",
            "FOLDS=2",
            "REPEATS=1",
            "EPOCHS=2",
            f"DATA={SONAR}",
            "JOBS=1",
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        env=os.environ | {"MAKEFLAGS": ""},
    )
    assert [twin.communicate()[1] for twin in twins] == ["", ""]
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.count("written: ") == 4
    arms = store.read_arms(tmp_path)
    assert list(arms) == list(ARMS)
    summary = store.read_table(tmp_path, "summary")
    assert summary["experiment"].tolist() == list(ARMS)
    means = [arms[name]["accuracy"].mean() for name in ARMS]
    assert summary["mean_accuracy"].tolist() == pytest.approx(means, abs=0)
    run_as_a_process("experiments.baseline", *TOY, f"--results={tmp_path / 'alone'}", check=True)
    alone = (tmp_path / "alone" / "baseline.csv").read_bytes()
    assert (tmp_path / "baseline.csv").read_bytes() == alone
    assert not [name for name in names_in(tmp_path) if name.startswith(".")]

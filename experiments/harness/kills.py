"""Kill every command that writes, at moments spread over its run, and look at what it leaves."""

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from experiments.harness import files, store
from experiments.harness.errors import InputError
from experiments.harness.parent import as_child
from experiments.harness.settings import COMMANDS, to_arguments

TOY = {"repeats": 2, "seeds": 1, "folds": 2, "epochs": 1, "jobs": 2}
RUNS = {  # every command, in an order in which it finds the tables that it needs
    **{arm: {"curves": True} for arm in ("baseline", "visible", "hidden", "control")},
    **{command: {} for command in ("stopping", "remedies", "tips", "evaluation")},
    # Enough to beat always guessing; a search that does not keeps the earlier tables.
    "tune": {"folds": 5, "epochs": 60, "inner_folds": 2, "candidates": 2, "halvings": 0},
    **{command: {} for command in ("predict", "compare", "figures", "report")},
    "validate": {"part": "search"},
    "verify": {"only": "baseline"},
}
DERIVED = ("predict", "compare", "figures", "report", "verify")  # the same whenever they run
SIGNALS = ("SIGKILL", "SIGTERM", "SIGINT")
SECONDS = 15  # that the processes of a killed run may take to end; they look once a second


def check_kills(
    data: Path, times: int, runs: Mapping[str, Mapping] = RUNS
) -> Iterator[tuple[str, list[str]]]:
    """Yield what the killed runs of each command left, in a sentence, and what is wrong with it.

    Every run is killed `times` times, once while it writes, by each signal in turn.
    """
    if not hasattr(os, "killpg"):
        raise InputError("killing runs needs the signals and groups of processes of POSIX")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job would ignore it
    signals = itertools.cycle(getattr(signal, name) for name in SIGNALS)
    with tempfile.TemporaryDirectory() as name:
        before = Path(name) / "before"
        before.mkdir()
        for command, given in runs.items():
            yield _check_command(command, TOY | given | {"data": data}, before, times, signals)
            shutil.rmtree(before)
            (before.parent / "after").rename(before)


def _check_command(command, given, before, times, signals):
    """Kill runs of one command in copies of the folder `before`; leave a whole run in `after`."""
    after, killed = before.parent / "after", before.parent / "killed"
    if command not in DERIVED:
        _finish(command, before, given | {"seed": 7})
    given = given | {"seed": 8}
    shutil.copytree(before, after)
    started = time.monotonic()
    _finish(command, after, given)
    seconds = time.monotonic() - started
    left, problems, expected = Counter(), [], (_contents(before), _contents(after))
    if expected[0] == expected[1] and command != "verify":
        problems.append(f"{command} writes nothing")
    for number, by in zip(range(times), signals, strict=False):
        moment = seconds * (number + 0.5) / times
        if number == times - 1 and command != "verify":
            moment = None
        for _ in range(5):  # until it is not done before it could be killed
            shutil.rmtree(killed, ignore_errors=True)
            shutil.copytree(before, killed)
            survivors = _kill(_start(command, killed, given), by, killed, moment)
            if survivors is not None:
                break
            moment = moment and 0.8 * moment
        else:
            continue
        state, wrong = _look(killed, *expected)
        left[state] += 1
        at = f"after {moment:.1f} s" if moment else "while it wrote"
        wrong += [f"process {pid} is still there" for pid in survivors]
        problems += [f"{command}, killed by {by.name} {at}: {text}" for text in wrong]
    _finish(command, killed, given)
    state, wrong = _look(killed, *expected)
    hidden = [name for name in _contents(killed) if Path(name).name.startswith(".")]
    wrong += [f"{name} is left" for name in hidden]
    wrong += ["other tables"] if _contents(after) != expected[1] or state == "torn" else []
    problems += [f"{command}, run after a kill: {text}" for text in wrong]
    shutil.rmtree(killed)
    states = ", ".join(f"{number} left {state} results" for state, number in left.items())
    return f"{command}: {left.total()} kills in runs of {seconds:.1f} s: {states}", problems


def _start(command, folder, given):
    """Start a command, the first process of a group."""
    given = {name: given[name] for name in COMMANDS[command].options if name in given}
    given |= {"model": folder / "tuned.keras"} if command == "predict" else {}
    arguments = to_arguments(given | {"results": folder})
    return subprocess.Popen(
        [sys.executable, "-m", COMMANDS[command].module, *arguments],
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True},
        **{"cwd": files.REPOSITORY, "env": as_child(), "start_new_session": True},
    )


def _finish(command, folder, given):
    process = _start(command, folder, given)
    with _ended(process):
        _, errors = process.communicate()
    if process.returncode not in (0, 1):  # 1: a check that fails has written its table
        raise InputError(f"{command} failed: {' '.join(errors.split()) or process.returncode}")


@contextlib.contextmanager
def _ended(process):
    """Kill a process and its group if the block is left early."""
    try:
        yield
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def _kill(process, by, folder, moment):
    """Kill a process after `moment` seconds, or while it writes if that is None.

    Return the numbers of the processes that it had started and that do not end, or None if it
    ended before it could be killed.
    """
    started = time.monotonic()
    with _ended(process):
        while time.monotonic() - started < moment if moment else not _is_writing(folder):
            if process.poll() is not None:
                process.communicate()
                return None
            time.sleep(0.0005)
        process.send_signal(signal.SIGSTOP)  # it starts no others while they are counted
        started_by_it = _descendants(process.pid)
        if by == signal.SIGINT:  # as by Ctrl-C
            os.killpg(process.pid, by)
        else:
            process.send_signal(by)
        process.send_signal(signal.SIGCONT)
        process.communicate()
    deadline = time.monotonic() + SECONDS
    while (left := started_by_it & _processes().keys()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return left


def _is_writing(folder):
    """Return whether files of the folder, or its figures, are being written."""
    for place in (folder, folder / "figures"):
        for stage in (files.STAGE, files.COMPLETE):
            with contextlib.suppress(OSError):
                if os.listdir(place / stage):
                    return True
    return False


def _processes():
    """Return the parent of every process that has not ended, by number."""
    ps = ["ps", "-A", "-o", "pid=,ppid=,stat="]
    listed = subprocess.run(ps, capture_output=True, text=True)
    rows = map(str.split, listed.stdout.splitlines())
    return {int(pid): int(parent) for pid, parent, state in rows if state[0] != "Z"}


def _descendants(pid):
    parents, found = _processes(), {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def _contents(folder):
    """Return the content of every file below a folder, locks excepted."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != files.LOCK]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def _look(folder, before, after):
    """Return which results a folder has, and what is wrong with them.

    They are "earlier" or "new" ones if all files are, to the byte; of the new ones, metadata,
    pages and figures may differ, by times for example.
    """
    wrong = []
    for place in (folder, folder / "figures"):
        if place.is_dir():
            with files.locked(place):  # completes or discards what was being written
                pass
    found = _contents(folder)
    for path in map(folder.joinpath, found):
        try:
            files.check_own(path.parent, [path.name])
            if path.suffix == ".csv":
                store.read_table(folder, path.stem, _kind(path.stem))
        except InputError as error:
            wrong.append(str(error))
    visible = {name: text for name, text in found.items() if not Path(name).name.startswith(".")}
    if visible == before:
        return "earlier", wrong
    same = {name for name in after if name.endswith(".csv") or before.get(name) == after[name]}
    if visible.keys() == after.keys() and all(visible[name] == after[name] for name in same):
        return "new", wrong
    return "torn", [*wrong, "some files are of the earlier results, others are not"]


def _kind(stem):
    """Return the kind of a table by the name of its file."""
    if stem.startswith("."):  # what is finished of a run
        return stem[1:].removesuffix("-part")
    return "network-curves" if stem.endswith("-curves") else stem

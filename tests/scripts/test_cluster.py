"""A Dask cluster gives the same tables, though a worker dies."""

import os
import signal
import socket
import subprocess
import sys
import time

import pandas as pd
import pytest

from experiments import baseline, tune
from experiments.foldstack import cluster
from experiments.harness.cluster import dask_cluster
from experiments.harness.errors import InputError
from tests.scripts.test_scripts import REPOSITORY

pytestmark = pytest.mark.slow
OPTIONS = ["--epochs=100", f"--data={REPOSITORY / 'data' / 'sonar.csv'}"]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def dask(*arguments, folder=REPOSITORY):
    return subprocess.Popen(
        [sys.executable, "-m", "dask", *arguments],
        cwd=folder,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def start_scheduler():
    address = f"tcp://127.0.0.1:{free_port()}"
    port = address.rsplit(":")[-1]
    return address, dask("scheduler", f"--port={port}", "--host=127.0.0.1", "--no-dashboard")


def worker(address, name, **options):
    return dask(
        "worker",
        address,
        "--nthreads=1",
        "--no-nanny",
        "--no-dashboard",
        f"--name={name}",
        **options,
    )


def wait_for_workers(address, number):
    from distributed import Client

    with Client(address, timeout=30, set_as_default=False) as client:
        client.wait_for_workers(number, timeout=60)


def stop(*processes):
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def workers():
    """A scheduler and two workers of one thread on loopback."""
    address, scheduler = start_scheduler()
    processes = [worker(address, name) for name in ("first", "second")]
    try:
        wait_for_workers(address, 2)
        yield address, processes, scheduler
    finally:
        stop(scheduler, *processes)


@pytest.mark.filterwarnings("ignore")  # a connection that is lost is what the test is about
@pytest.mark.parametrize("deaths", [1, 2])
def test_the_same_bytes_though_workers_are_killed(workers, tmp_path, monkeypatch, deaths):
    """One of two; or both, and all that they held is lost, and another comes."""
    address, processes, _ = workers
    real, killed = cluster.map_on_workers, []

    def killing(*arguments, callback, **options):
        def killing_callback(i):
            if not killed:  # the other stacks are still under way
                killed.extend(processes[:deaths])
                for process in killed:
                    os.kill(process.pid, signal.SIGKILL)
                if deaths == 2:
                    processes.append(worker(address, "third"))
            callback(i)

        return real(*arguments, callback=killing_callback, **options)

    monkeypatch.setattr("experiments.foldstack.engine.map_on_workers", killing)
    monkeypatch.setattr("experiments.foldstack.engine.STACK_COPIES", 4)
    options = [*OPTIONS, "--folds=10", "--repeats=2"]  # six stacks
    baseline.main([*options, f"--results={tmp_path / 'there'}", f"--scheduler={address}"])
    assert [process.wait(10) for process in killed] == [-signal.SIGKILL] * deaths
    assert processes[-1].poll() is None
    baseline.main([*options, f"--results={tmp_path / 'here'}"])
    there, here = (tmp_path / where / "baseline.csv" for where in ("there", "here"))
    assert there.read_bytes() == here.read_bytes()
    assert pd.read_csv(there)["accuracy"].mean() > 0.75


@pytest.mark.filterwarnings("ignore")
def test_a_scheduler_that_dies_is_told_in_one_line(workers, tmp_path):
    from distributed import Client

    address, _, scheduler = workers
    running = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "experiments.baseline",
            "--epochs=1000",
            "--repeats=30",
            f"--results={tmp_path}",
            f"--scheduler={address}",
        ],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with Client(address, set_as_default=False) as client:
        while running.poll() is None and not any(client.processing().values()):
            time.sleep(0.1)
        scheduler.kill()
        assert running.communicate(timeout=60) == (
            "",
            "baseline: the Dask scheduler is gone; nothing was written\n",
        )
    assert running.returncode == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore:__array__ implementation")
def test_tuning_on_a_cluster_gives_the_same_bytes(workers, tmp_path):
    options = [*OPTIONS, "--epochs=3", "--folds=2", "--inner-folds=2", "--candidates=2"]
    tune.main([*options, f"--results={tmp_path / 'there'}", f"--scheduler={workers[0]}"])
    tune.main([*options, f"--results={tmp_path / 'here'}"])
    for name in ("tuning.csv", "tuned.csv"):
        there, here = (tmp_path / where / name for where in ("there", "here"))
        assert there.read_bytes() == here.read_bytes()


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("tcp://127.0.0.1:9", "no Dask scheduler answers at tcp://127.0.0.1:9"),
        ("nowhere", "must be like tcp://host:8786, got 'nowhere'"),
        ("tcp://:8786", "must be like tcp://host:8786, got 'tcp://:8786'"),
        ("nowhere://x", "must be like tcp://host:8786, got 'nowhere://x'"),
    ],
)
def test_a_scheduler_that_does_not_answer_is_told(capsys, tmp_path, address, says):
    with pytest.raises(SystemExit) as caught:
        baseline.main([*OPTIONS, f"--scheduler={address}", f"--results={tmp_path}"])
    assert caught.value.code == 2
    assert says in capsys.readouterr().err


def test_a_worker_that_does_not_know_the_project_is_told(tmp_path, capsys):
    address, scheduler = start_scheduler()
    elsewhere = worker(address, "elsewhere", folder=tmp_path)
    try:
        wait_for_workers(address, 1)
        with pytest.raises(SystemExit) as caught:
            baseline.main([*OPTIONS, f"--scheduler={address}", f"--results={tmp_path / 'there'}"])
    finally:
        stop(scheduler, elsewhere)
    assert caught.value.code == 2
    printed = capsys.readouterr().err
    assert printed.startswith("baseline: a Dask worker cannot run this project's code; start")
    assert printed.count("\n") == 1
    assert not (tmp_path / "there").exists()


def test_without_dask_a_scheduler_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(InputError, match="needs the package distributed"),
        dask_cluster("tcp://127.0.0.1:1"),
    ):
        pass


def test_only_the_stacked_engine_has_a_cluster(capsys, tmp_path):
    with pytest.raises(SystemExit):
        baseline.main(
            [*OPTIONS, "--scheduler=tcp://x:1", "--engine=scikit-learn", f"--results={tmp_path}"]
        )
    assert "--scheduler needs --engine stacked" in capsys.readouterr().err

"""A Dask cluster returns the same tables, even if a worker dies."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pandas as pd
import pytest

from experiments.foldstack import cluster
from experiments.harness.cluster import dask_cluster
from experiments.harness.errors import InputError
from tests.commands import run, run_and_fail, start
from tests.conftest import POSIX_ONLY, REPOSITORY, contents

Client = pytest.importorskip("distributed").Client
Security = pytest.importorskip("distributed").Security
pytestmark = [pytest.mark.slow, POSIX_ONLY]


def dask(*options, folder=REPOSITORY):
    command = [sys.executable, "-m", "dask", *options, "--no-dashboard"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, cwd=folder, start_new_session=True, **quiet)


def start_scheduler(scheme="tcp"):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = f"--port={port}", "--host=127.0.0.1", f"--protocol={scheme}"
    return f"{scheme}://127.0.0.1:{port}", dask("scheduler", *options)


def start_worker(address, **options):
    return dask("worker", address, "--nthreads=1", "--no-nanny", **options)


def wait_for_workers(address, number, **options):
    with Client(address, timeout=30, set_as_default=False, **options) as client:
        client.wait_for_workers(number, timeout=60)


def stop(*processes):
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def workers():
    """A scheduler and two workers of one thread on loopback."""
    address, scheduler = start_scheduler()
    processes = [start_worker(address) for _ in range(2)]
    try:
        wait_for_workers(address, 2)
        yield address, processes, scheduler
    finally:
        stop(scheduler, *processes)


@pytest.mark.filterwarnings("ignore")  # the test loses connections on purpose
@pytest.mark.parametrize("deaths", [1, 2])
def test_the_bytes_are_the_same_even_if_workers_are_killed(workers, tmp_path, monkeypatch, deaths):
    """One of two; or both, so that all their results are lost, and then a third one starts."""
    address, processes, _ = workers
    real, killed = cluster.map_on_workers, []

    def killing(*positional, callback, **options):
        def killing_callback(i):
            if not killed:  # the other stacks are not done yet
                killed.extend(processes[:deaths])
                for process in killed:
                    os.kill(process.pid, signal.SIGKILL)
                if deaths == 2:
                    processes.append(start_worker(address))
            callback(i)

        return real(*positional, callback=killing_callback, **options)

    monkeypatch.setattr("experiments.foldstack.engine.map_on_workers", killing)
    monkeypatch.setattr("experiments.foldstack.engine.STACK_COPIES", 4)
    options = {"folds": 10, "epochs": 50}  # five stacks
    run("hidden", tmp_path / "cluster", scheduler=address, **options)
    assert [process.wait(10) for process in killed] == [-signal.SIGKILL] * deaths
    assert processes[-1].poll() is None
    monkeypatch.undo()
    run("hidden", tmp_path / "here", **options)  # one stack
    tables = [tmp_path / where / "hidden.csv" for where in ("cluster", "here")]
    assert tables[0].read_bytes() == tables[1].read_bytes()
    assert pd.read_csv(tables[0])["accuracy"].mean() > 0.7


@pytest.mark.filterwarnings("ignore")
def test_the_scheduler_dies(workers, tmp_path):
    address, _, scheduler = workers
    running = start("baseline", tmp_path, epochs=3000, repeats=30, scheduler=address)
    with Client(address, set_as_default=False) as client:
        while running.poll() is None and not any(client.processing().values()):
            time.sleep(0.1)
        scheduler.kill()
        gone = "baseline: the Dask scheduler is gone; nothing was written\n"
        assert running.communicate(timeout=60) == ("", gone)
    assert running.returncode == 2
    assert contents(tmp_path) == {}


def test_tuning_on_a_cluster_writes_the_same_bytes(workers, tmp_path):
    run("tune", tmp_path / "cluster", scheduler=workers[0])
    run("tune", tmp_path / "here")
    tables = contents(tmp_path / "cluster", "*.csv")
    assert {*tables} == {"tuning.csv", "tuned.csv"}
    assert tables == contents(tmp_path / "here", "*.csv")


def test_no_scheduler_answers(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("experiments.harness.cluster.SECONDS", 1)
    address = "tcp://127.0.0.1:9"
    _, error = run_and_fail(capsys, "baseline", tmp_path, scheduler=address)
    assert f"no Dask scheduler answers at {address}" in error


def test_a_worker_started_outside_the_project(tmp_path, capsys):
    address, scheduler = start_scheduler()
    elsewhere = start_worker(address, folder=tmp_path)
    try:
        wait_for_workers(address, 1)
        _, error = run_and_fail(capsys, "baseline", tmp_path / "results", scheduler=address)
    finally:
        stop(scheduler, elsewhere)
    assert error.startswith("baseline: a Dask worker cannot run this project's code; start")
    assert not (tmp_path / "results").exists()


def test_a_scheduler_needs_dask(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(InputError, match="needs the package distributed"),
        dask_cluster("tcp://127.0.0.1:1"),
    ):
        pass


@pytest.mark.filterwarnings("ignore")
def test_a_worker_of_other_code_joins_in_mid_run(workers, tmp_path, monkeypatch, capsys):
    address, processes, _ = workers
    other = shutil.copytree(REPOSITORY / "experiments", tmp_path / "other" / "experiments")
    with open(other / "foldstack" / "draws.py", "a") as file:
        file.write("# changed\n")
    real = cluster.map_on_workers

    def after_it_has_joined(client, *arguments, **options):
        processes.append(start_worker(address, folder=other.parent))
        client.wait_for_workers(3, timeout=60)
        stop(*processes[:2])
        return real(client, *arguments, **options)

    monkeypatch.setattr("experiments.foldstack.engine.map_on_workers", after_it_has_joined)
    _, error = run_and_fail(capsys, "baseline", tmp_path / "results", scheduler=address)
    assert f"(process {processes[-1].pid}) has other code or packages: foldstack's source" in error
    assert not (tmp_path / "results").exists()


def test_packages_are_compared_with_those_of_the_client():
    here = cluster.fingerprint()
    assert cluster._call_if_alike(here, len, "abc") == 3
    with pytest.raises(ValueError, match=rf"or packages: numpy {here['numpy']}; its results"):
        cluster._call_if_alike(here | {"numpy": "0"}, len, "abc")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.0 400 Bad Request\r\n\r\n"])
@pytest.mark.parametrize("scheme", ["tcp", "tls"])
def test_an_address_that_is_not_a_scheduler(capsys, tmp_path, monkeypatch, scheme, answer):
    monkeypatch.setattr("experiments.harness.cluster.SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept():
            with contextlib.suppress(OSError), server.accept()[0] as connection:
                connection.sendall(answer)
                connection.recv(2**20)
                time.sleep(2)

        threading.Thread(target=accept, daemon=True).start()
        address = f"{scheme}://127.0.0.1:{server.getsockname()[1]}"
        _, error = run_and_fail(capsys, "baseline", tmp_path / "results", scheduler=address)
    assert f"no Dask scheduler answers at {address}" in error
    assert ("TLS needs certificates in Dask's configuration" in error) == (scheme == "tls")
    assert not (tmp_path / "results").exists()


@pytest.mark.skipif(not shutil.which("openssl"), reason="makes certificates with openssl")
def test_a_cluster_with_certificates(tmp_path, monkeypatch):
    """They are in a file of Dask's configuration, for scheduler, workers and command alike."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=cluster"]
    make += ["-keyout", key, "-out", certificate]
    subprocess.run(make, check=True, capture_output=True)
    of_role = {"key": str(key), "cert": str(certificate)}
    tls = {"ca-file": str(certificate)} | dict.fromkeys(("scheduler", "worker", "client"), of_role)
    file = tmp_path / "dask" / "security.yaml"
    file.parent.mkdir()
    file.write_text(json.dumps({"distributed": {"comm": {"require-encryption": True, "tls": tls}}}))
    monkeypatch.setenv("DASK_CONFIG", str(file.parent))
    address, scheduler = start_scheduler("tls")
    worker = start_worker(address)
    own = {"tls_client_key": str(key), "tls_client_cert": str(certificate)}
    try:
        wait_for_workers(address, 1, security=Security(tls_ca_file=str(certificate), **own))
        running = start("baseline", tmp_path / "cluster", scheduler=address)
        assert (running.communicate()[1], running.returncode) == ("", 0)
    finally:
        stop(scheduler, worker)
    run("baseline", tmp_path / "here")
    tables = [tmp_path / where / "baseline.csv" for where in ("cluster", "here")]
    assert tables[0].read_bytes() == tables[1].read_bytes()

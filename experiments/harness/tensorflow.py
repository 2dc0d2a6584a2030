"""Start TensorFlow for the scripts: quietly and without delay."""

import contextlib
import functools
import gc
import logging
import os
import signal
import sys
from collections.abc import Iterator

from joblib import Parallel, delayed, parallel_config

from experiments.harness.parent import end_with


@functools.cache
def start_tensorflow() -> None:
    """Import Keras and TensorFlow without messages and start the runtime, once: takes seconds."""
    # Objects made by these imports live as long as the process. Not looking through them for
    # garbage, neither now nor at exit, takes 0.8 of 3 seconds off a short run. Keras would
    # import Matplotlib for pictures that nobody draws here: a tenth of the import.
    gc.disable()
    with _muted_stderr(), _hidden("matplotlib"):
        from experiments.foldstack.recipe import keras, tf  # imported as is best for stacks

        logging.getLogger("tensorflow").setLevel("ERROR")  # every fold is a new model: no retracing
        tf.random.uniform(())  # starts the runtime, which prints too
        keras.config.set_floatx("float32")  # whatever the user's keras.json says
    gc.enable()
    gc.freeze()


@contextlib.contextmanager
def worker_processes(n_jobs: int) -> Iterator[None]:
    """Let joblib run tasks within the block in processes that leave Ctrl-C to this one.

    They start TensorFlow as `start_tensorflow` does. A terminal sends Ctrl-C to all of its
    processes, and each would print a traceback; this process ends its workers.
    """
    with parallel_config(
        backend="loky", n_jobs=n_jobs, inner_max_num_threads=1, initializer=_start_worker
    ):
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited: they ignore it at once
        try:
            started = Parallel(return_as="generator")(delayed(int)() for _ in range(n_jobs))
        finally:
            signal.signal(signal.SIGINT, before)
        list(started)
        yield


def _start_worker():
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # for a worker that replaces another
    end_with(os.getppid())
    start_tensorflow()


@contextlib.contextmanager
def _muted_stderr():
    """Discard what is written to file descriptor 2: C++ prints before its log level is set."""
    sys.stderr.flush()
    saved = os.dup(2)
    try:
        with open(os.devnull, "w") as devnull:
            os.dup2(devnull.fileno(), 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


@contextlib.contextmanager
def _hidden(name):
    """Make a module appear not to be installed."""
    before = sys.modules.get(name)
    sys.modules[name] = None
    try:
        yield
    finally:
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before

"""Start TensorFlow for the scripts: quietly and without delay."""

import contextlib
import gc
import logging
import os
import signal
import sys

from joblib import parallel_config


def start_tensorflow() -> None:
    """Import Keras and TensorFlow without messages and start the runtime, once: takes seconds."""
    if "tensorflow" in sys.modules:
        return
    # Objects made by these imports live as long as the process. Not looking through them for
    # garbage, neither now nor at exit, takes 0.8 of 3 seconds off a short run. Keras would
    # import Matplotlib for pictures that nobody draws here: a tenth of the import.
    gc.disable()
    with _muted_stderr(), _hidden("matplotlib"):
        import keras
        import tensorflow as tf

        logging.getLogger("tensorflow").setLevel("ERROR")  # every fold is a new model: no retracing
        tf.random.uniform(())  # starts the runtime, which prints too
        keras.config.set_floatx("float32")  # whatever the user's keras.json says
    gc.enable()
    gc.freeze()


def quiet_workers() -> parallel_config:
    """Return a context of quiet worker processes, which leave Ctrl-C to the main process."""
    return parallel_config(backend="loky", inner_max_num_threads=1, initializer=_start_worker)


def _start_worker():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
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

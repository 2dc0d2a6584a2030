"""TensorFlow and Keras, imported quietly and set up for many small networks.

Everything else imports `keras` and `tf` from here, so that the settings below
are in force before TensorFlow starts, in worker processes too.
"""

import contextlib
import gc
import os
import sys

from experiments.harness import interrupts

# A step of these networks is many tiny products: threads inside an operation cost
# more than they give, and their number must not change the last bit of a result.
os.environ["TF_NUM_INTRAOP_THREADS"] = "1"
# Its faster products, which TensorFlow switches on by itself for some processors only.
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["KERAS_BACKEND"] = "tensorflow"


@contextlib.contextmanager
def _muted_stderr():
    """Send file descriptor 2 to nowhere: C++ prints there before its log level is set."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextlib.contextmanager
def _hidden(name):
    """Let a module seem not to be installed."""
    before = sys.modules.get(name)
    sys.modules[name] = None
    try:
        yield
    finally:
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before


# What this import makes lives as long as the process. Not looking through it for garbage,
# neither now nor at exit, takes 0.8 of 3 seconds off a short run. Keras would import
# Matplotlib, too, for pictures that nobody draws here: a tenth of the import.
gc.disable()
with _muted_stderr(), _hidden("matplotlib"):
    import keras
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")  # no retracing warnings: every fold is a new model
    # Start the runtime now, while nobody listens. Something random, because TensorFlow looks
    # once only whether it is to be deterministic: if that were within the first fit of scikeras,
    # which says so for as long as it fits, it would stay so, and refuse a fit without a seed.
    tf.random.uniform(())
    keras.config.set_floatx("float32")  # whatever a file of the user's says for other projects
gc.enable()
gc.freeze()
if interrupts.came():  # and was lost: somewhere within, any exception means "not installed"
    raise KeyboardInterrupt

__all__ = ["keras", "tf"]

"""Importing foldstack is cheap and changes nothing in the process."""

import json
import os
import subprocess
import sys

import pytest

from experiments import foldstack
from tests.conftest import SONAR


def run(code, **environment):
    """Run code in a fresh process that has the library as the top-level package `foldstack`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TF_", "KERAS_", "CUDA_"))}
    folder, environment = SONAR.parents[1] / "experiments", kept | environment
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_the_import_takes_milliseconds_and_imports_nothing_heavy():
    done = run("""
import sys, time
started = time.perf_counter()
import foldstack
print(time.perf_counter() - started)
print(*sys.modules)
""")
    seconds, modules = done.stdout.splitlines()
    assert float(seconds) < 0.05
    assert not {"numpy", "sklearn", "scipy", "keras", "tensorflow"} & set(modules.split())


def test_using_the_library_changes_nothing_in_the_process():
    done = run("""
import gc, json, logging, os
import keras, scikeras.wrappers, sklearn, tensorflow
def state():
    return [dict(os.environ), gc.isenabled(), gc.get_freeze_count(), keras.config.floatx(),
            logging.getLogger("tensorflow").level, logging.root.level]
before = state()
import foldstack
for name in foldstack.__all__:
    getattr(foldstack, name)
print(json.dumps([before, state()]))
""")
    before, after = json.loads(done.stdout)
    assert before == after


TRAIN = """
import warnings
import numpy as np
import tensorflow as tf
from foldstack import build_pipeline, cross_validate
X, y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for _ in range(2):
        cross_validate(build_pipeline(epochs=1), X, y, cv=2)
print(len([w for w in caught if "TF_NUM_INTRAOP_THREADS=1" in str(w.message)]),
      tf.config.threading.get_intra_op_parallelism_threads())
"""


@pytest.mark.parametrize(
    ("started", "environment", "expected"),
    [(False, {}, "0 1"), (True, {}, "1 0"), (True, {"TF_NUM_INTRAOP_THREADS": "1"}, "0 0")],
)
def test_training_uses_one_thread_per_operation_or_warns_once(started, environment, expected):
    start = "import tensorflow as tf\ntf.zeros(1)\n" if started else ""
    done = run(start + TRAIN, **environment)
    assert done.stdout.strip() == expected, done.stderr


def test_another_keras_backend_is_refused_in_one_line():
    done = run("""
import keras
keras.backend.backend = lambda: "jax"
import foldstack
try:
    foldstack.build_pipeline
except ImportError as error:
    print(error)
""")
    assert done.stdout.startswith("foldstack needs Keras' TensorFlow backend, but Keras uses 'jax'")
    assert done.stdout.count("\n") == 1


def test_all_names_resolve_and_are_listed():
    assert set(foldstack.__all__) <= set(dir(foldstack))
    for name in foldstack.__all__:
        assert getattr(foldstack, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'cross_valdate'"):
        _ = foldstack.cross_valdate

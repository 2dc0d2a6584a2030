"""The precision that networks are built and trained in."""

import pytest

from experiments.foldstack.recipe import keras


def set_precision(name):
    keras.config.set_floatx(name)
    keras.config.set_dtype_policy(name)


@pytest.fixture
def precision(request):
    set_precision(getattr(request, "param", "float64"))
    yield
    set_precision("float32")

"""The precision that networks are built and trained in."""

import pytest


def set_precision(name):
    import keras  # not above: the process that only hands out tests loads this file, too

    keras.config.set_floatx(name)
    keras.config.set_dtype_policy(name)


@pytest.fixture
def precision(request):
    set_precision(getattr(request, "param", "float64"))
    yield
    set_precision("float32")

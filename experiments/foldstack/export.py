"""A trained network as one file: standardisation inside, the labels with it."""

import contextlib
import io
import json
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sklearn.pipeline import Pipeline

from experiments.harness.errors import InputError
from experiments.harness.files import COMPLETE, STAGE, locked

if TYPE_CHECKING:
    import keras

# TensorFlow is imported only where it is needed: a broken file should be told at once.
LARGEST_DIFFERENCE = 1e-3  # of a probability, between a network and its file
LABELS = "labels.json"  # a member of the .keras archive that Keras does not look at


def pack_network(pipeline: Pipeline, features: Sequence[str]) -> bytes:
    """Pack a fitted pipeline standardize → mlp as the content of a ``.keras`` file.

    `keras.saving.load_model` reads it without this project; class labels and names of the
    columns are in ``labels.json`` inside.

    Parameters
    ----------
    pipeline : Pipeline
        As of `build_pipeline`, fitted.
    features : sequence of strings
        Names of the columns.

    Raises
    ------
    InputError
        If there is no room for it among the temporary files.
    """
    from experiments.foldstack.backend import keras

    classifier = pipeline["mlp"]
    network = keras.Sequential(
        [
            keras.Input((len(features),), dtype="float64"),
            *_standardize(pipeline["standardize"], len(features)),
            *classifier.model_.layers,
        ]
    )
    labels = {"classes": [str(label) for label in classifier.classes_], "features": list(features)}
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "network.keras"
            network.save(path)
            with zipfile.ZipFile(path, "a") as archive:
                archive.writestr(LABELS, json.dumps(labels))
            return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot pack the network in {tempfile.gettempdir()}: {error}") from error


def _standardize(scaler, features):
    """Do what the scaler does in double precision: in single, a date has no minutes left.

    Keras rounds the numbers of a `Rescaling` to single precision first. So what it subtracts
    first is the mean as rounded, and what that lacks comes last, where it is small.
    """
    from experiments.foldstack.backend import keras

    mean = scaler.mean_ if scaler.with_mean else np.zeros(features)
    scale = scaler.scale_ if scaler.with_std else np.ones(features)
    rounded = mean.astype(np.float32).astype(np.float64)
    return [
        keras.layers.Rescaling([1.0] * features, (-rounded).tolist(), dtype="float64"),
        keras.layers.Rescaling(
            (1 / scale).tolist(), ((rounded - mean) / scale).tolist(), dtype="float64"
        ),
    ]


def check_packed(content: bytes, pipeline: Pipeline, X: np.ndarray) -> bool:
    """Make sure that a packed network predicts what its pipeline does.

    Parameters
    ----------
    content : bytes
        As of `pack_network`.
    pipeline : Pipeline
        That it was packed from.
    X : array of shape (rows, features)

    Returns
    -------
    bool
        Whether it does so, too, by its plain method ``predict``, for which Keras rounds the
        rows to single precision.

    Raises
    ------
    InputError
        If a probability differs by more than 0.001: a column is of an extreme size.
    """
    network = load_network(content, Path("the network"))
    expected = pipeline.predict_proba(X)[:, 1]
    _, probability = predict(network, pipeline["mlp"].classes_, X)
    difference = np.abs(probability - expected).max()
    if not difference <= LARGEST_DIFFERENCE:
        raise InputError(
            f"nothing was written: as a file, the network's probabilities would be off by up to "
            f"{difference:.2g}; a column's numbers are too large or too small, give it other units"
        )
    return np.abs(network.predict(X, verbose=0)[:, 0] - expected).max() <= LARGEST_DIFFERENCE


def read_network(path: Path) -> tuple[bytes, dict]:
    """Read a network's file, and what travels with it.

    Returns
    -------
    content : bytes
        For `load_network`.
    labels : dict
        ``classes``, the two labels, and ``features``, the names of the columns.

    Raises
    ------
    InputError
        If it is not a file that `pack_network` made.
    """
    try:
        with contextlib.ExitStack() as stack:
            if (path.parent / STAGE).exists() or (path.parent / COMPLETE).exists():
                stack.enter_context(locked(path.parent))  # one that is just being replaced
            content = path.read_bytes()
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            labels = json.loads(archive.read(LABELS))
        classes, features = list(labels["classes"]), list(labels["features"])
        if not all(isinstance(name, str) for name in (*classes, *features)):
            raise ValueError
        if len(classes) != 2 or len(set(classes)) != 2 or not features:
            raise ValueError
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{path} is no network of `make tune`, or broken") from error
    return content, {"classes": classes, "features": features}


def load_network(content: bytes, path: Path) -> "keras.Model":
    """Load a network: (rows, features) as in a table to (rows, 1), P(second class).

    Parameters
    ----------
    content : bytes
        As of `pack_network`.
    path : Path
        What to call it in an error.

    Raises
    ------
    InputError
        If it cannot be.
    """
    from experiments.foldstack.backend import keras

    try:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "network.keras"
            copy.write_bytes(content)
            return keras.saving.load_model(copy, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises what it likes
        raise InputError(f"{path} is no network of `make tune`, or broken") from error


def predict(
    network: "keras.Model", classes: Sequence[str], X: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Predict class labels and the probability of the second class, arrays of shape (rows,)."""
    from experiments.foldstack.backend import tf

    # Batches of tensors stay in double precision; Keras rounds an array to single.
    rows = tf.data.Dataset.from_tensor_slices(X.astype(np.float64)).batch(1024)
    probability = network.predict(rows, verbose=0)[:, 0]
    return np.array(classes)[(probability > 0.5).astype(int)], probability

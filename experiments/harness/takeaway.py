"""A trained network as one file: standardisation inside, the labels with it."""

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sklearn.pipeline import Pipeline

from experiments.harness.errors import InputError

if TYPE_CHECKING:
    import keras

# TensorFlow is imported only where it is needed: a broken file should be told at once.
LABELS = "labels.json"  # a member of the .keras archive that Keras does not look at


def save_network(path: Path, pipeline: Pipeline, features: list[str]) -> None:
    """Write a fitted pipeline standardize → mlp as a ``.keras`` file.

    `keras.saving.load_model` reads it without this project; class labels and names of the
    columns are in ``labels.json`` inside. It is there whole or not at all.

    Parameters
    ----------
    path : Path
        Ends in ``.keras``.
    pipeline : Pipeline
        As of `build_pipeline`, fitted.
    features : list of strings
        Names of the columns.
    """
    from experiments.harness.backend import keras

    scaler, classifier = pipeline["standardize"], pipeline["mlp"]
    standardize = keras.layers.Normalization(mean=scaler.mean_, variance=scaler.scale_**2)
    network = keras.Sequential(
        [keras.Input((len(features),)), standardize, *classifier.model_.layers]
    )
    labels = {"classes": [str(label) for label in classifier.classes_], "features": list(features)}
    part = path.with_name(f".{path.stem}.part.keras")
    try:
        network.save(part)
        with zipfile.ZipFile(part, "a") as archive:
            archive.writestr(LABELS, json.dumps(labels))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_labels(path: Path) -> dict:
    """Read what travels with a network: ``classes``, the two labels, and ``features``.

    Raises
    ------
    InputError
        If it is not a file that `save_network` wrote.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            labels = json.loads(archive.read(LABELS))
        return {"classes": list(labels["classes"]), "features": list(labels["features"])}
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path} is no network of `make tune`, or broken") from error


def load_network(path: Path) -> "keras.Model":
    """Load a network: (rows, features) as in a table to (rows, 1), P(second class).

    Raises
    ------
    InputError
        If it cannot be.
    """
    from experiments.harness.backend import keras

    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises what it likes
        raise InputError(f"{path} is no network of `make tune`, or broken") from error


def predict(
    network: "keras.Model", classes: Sequence[str], X: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Predict class labels and the probability of the second class, arrays of shape (rows,)."""
    probability = network.predict(X.astype(np.float32), verbose=0)[:, 0]
    return np.array(classes)[(probability > 0.5).astype(int)], probability

"""A trained network as the content of one file, with the standardisation and labels inside."""

import json
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from sklearn.pipeline import Pipeline

from .labels import LABELS, read_labels

TOLERANCE = 1e-3  # of a probability, between a pipeline and its exported network


def export_network(pipeline: Pipeline, feature_names: Sequence[str]) -> bytes:
    """Export a fitted pipeline as the content of a ``.keras`` file.

    `keras.saving.load_model` reads it without this library. Class labels and feature names
    are in ``labels.json`` inside the archive.

    Parameters
    ----------
    pipeline : Pipeline
        Return value of `build_pipeline`, fitted.
    feature_names : sequence of str of shape (n_features,)

    Raises
    ------
    OSError
        If the temporary folder has no room for it.
    """
    classifier = pipeline["mlp"]
    inputs = keras.Input((len(feature_names),), dtype="float64")
    standardize = _standardize(pipeline["standardize"], len(feature_names))
    network = keras.Sequential([inputs, *standardize, *classifier.model_.layers])
    classes = [str(label) for label in classifier.classes_]
    labels = {"classes": classes, "features": list(feature_names)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.keras"
        network.save(path)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(LABELS, json.dumps(labels))
        return path.read_bytes()


def _standardize(scaler, n_features):
    """Return layers that standardise in double precision: in single, a date has no minutes.

    Keras rounds the parameters of `Rescaling` to single precision. So the first layer
    subtracts the rounded mean, and the second what the rounding lost, where it is small.
    """
    mean = scaler.mean_ if scaler.with_mean else np.zeros(n_features)
    scale = scaler.scale_ if scaler.with_std else np.ones(n_features)
    rounded = mean.astype(np.float32).astype(np.float64)
    steps = (np.ones(n_features), -rounded), (1 / scale, (rounded - mean) / scale)
    return [
        keras.layers.Rescaling(factor.tolist(), offset.tolist(), dtype="float64")
        for factor, offset in steps
    ]


def check_exported(content: bytes, pipeline: Pipeline, X: np.ndarray) -> bool:
    """Check that an exported network predicts what its pipeline predicts.

    Parameters
    ----------
    content, pipeline
        Return value of `export_network`, and the pipeline that was exported.
    X : array of shape (n_samples, n_features)

    Returns
    -------
    bool
        Whether the network's own method ``predict``, for which Keras rounds X to single
        precision, is accurate, too.

    Raises
    ------
    ValueError
        If a probability differs by more than 0.001, because a feature is of an extreme size.
    """
    network = load_network(content)
    expected = pipeline.predict_proba(X)[:, 1]
    _, probability = predict(network, pipeline["mlp"].classes_, X)
    difference = np.abs(probability - expected).max()
    if not difference <= TOLERANCE:
        raise ValueError(
            f"the exported network's probabilities differ from the pipeline's by up to "
            f"{difference:.2g}; a feature's numbers are too large or too small, use other units"
        )
    return np.abs(network.predict(X, verbose=0)[:, 0] - expected).max() <= TOLERANCE


def load_network(content: bytes) -> keras.Model:
    """Load a network from the return value of `export_network`.

    Returns
    -------
    keras.Model
        Maps (n_samples, n_features) to (n_samples, 1), the probability of the second class.

    Raises
    ------
    ValueError
        If the content was not made by `export_network`.
    """
    n_features = len(read_labels(content)["features"])
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "network.keras"
            path.write_bytes(content)
            network = keras.saving.load_model(path, compile=False, safe_mode=True)
        if network.input_shape[-1] != n_features:
            raise ValueError(f"{n_features} feature names, input of {network.input_shape}")
    except Exception as error:  # Keras raises errors of any type
        raise ValueError("the content is not an exported network, or is corrupt") from error
    return network


def predict(
    network: keras.Model, classes: Sequence[str], X: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Predict with an exported network in double precision.

    Parameters
    ----------
    network, classes
        ``load_network(content)`` and ``read_labels(content)["classes"]``.
    X : array of shape (n_samples, n_features)

    Returns
    -------
    labels : array of shape (n_samples,)
    probability : float32 array of shape (n_samples,)
        Of the second class.
    """
    # Batches of tensors stay in double precision; Keras rounds an array to single precision.
    samples = tf.data.Dataset.from_tensor_slices(X.astype(np.float64)).batch(1024)
    probability = network.predict(samples, verbose=0)[:, 0]
    return np.array(classes)[(probability > 0.5).astype(int)], probability

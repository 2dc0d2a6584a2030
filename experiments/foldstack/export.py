"""A trained network as the content of one file, with everything from the raw columns inside."""

import json
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from keras import layers, ops
from sklearn.base import is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from .labels import LABELS, read_labels

# Of a probability, or of a number in standard deviations of the training targets: largest
# difference between a pipeline and its exported network.
TOLERANCE = 1e-5
TOLERANCE_ROUNDED = 1e-3  # if Keras rounds the samples to single precision


def export_network(
    pipeline: Pipeline, feature_names: Sequence[str], target_name: str = "number"
) -> bytes:
    """Export a fitted pipeline as the content of a ``.keras`` file.

    `keras.saving.load_model` reads it without this library, in safe mode. It maps samples as
    they are to probabilities, or to float64 numbers in the units of the target. After
    `build_preparation` the network has two inputs, named ``numbers`` and ``categories``: the
    columns of each kind, float64 (NaN if missing) and strings. Class labels or the name of the
    number, feature names and known categories are in ``labels.json`` inside the archive.

    Parameters
    ----------
    pipeline : Pipeline
        Return value of `build_pipeline`, fitted, perhaps with `build_preparation` as the first
        step ``prepare``.
    feature_names : sequence of str of shape (n_features,)
    target_name : str, default="number"
        Name of the number that a regressor predicts.

    Raises
    ------
    OSError
        If the temporary folder has no room for it.
    """
    estimator, names = pipeline["mlp"], list(feature_names)
    if is_classifier(estimator):
        labels, restore = {"classes": [str(label) for label in estimator.classes_]}, []
    else:
        labels, restore = {"number": target_name}, _restore(estimator.target_encoder_.scaler_)
    labels["features"] = names
    standardize = _standardize(pipeline["standardize"], pipeline["standardize"].n_features_in_)
    after = [*standardize, *estimator.model_.layers, *restore]
    if "prepare" in pipeline.named_steps:
        preparation = pipeline["prepare"]
        inputs, outputs = _prepare(preparation)
        for layer in after:
            outputs = layer(outputs)
        network = keras.Model(inputs, outputs)
        columns = preparation.transformers_[1][2]
        known = _known_categories(preparation)
        labels["categories"] = {
            name: categories.tolist() for name, categories in zip(columns, known, strict=True)
        }
    else:
        network = keras.Sequential([keras.Input((len(names),), dtype="float64"), *after])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.keras"
        network.save(path)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(LABELS, json.dumps(labels))
        return path.read_bytes()


def _prepare(preparation: ColumnTransformer):
    """Return inputs and outputs of what `build_preparation` has fitted."""
    (_, imputer, numbers), (_, _, categories) = preparation.transformers_[:2]
    inputs, parts = {}, []
    if len(numbers):
        samples = inputs["numbers"] = keras.Input((len(numbers),), dtype="float64", name="numbers")
        missing, medians = ops.isnan(samples), imputer.statistics_[np.newaxis]
        parts.append(ops.where(missing, ops.cast(medians, "float64"), samples))
        parts += [
            ops.cast(missing[:, place : place + 1], "float64")
            for place in map(int, imputer.indicator_.features_)
        ]
    if len(categories):
        samples = keras.Input((len(categories),), dtype="string", name="categories")
        inputs["categories"] = samples
        encoder = preparation.named_transformers_["categories"]
        for place, known in enumerate(_known_categories(preparation)):
            rare = encoder.infrequent_categories_[place]
            common = known if rare is None else known[~np.isin(known, rare)]
            lookup = layers.StringLookup(vocabulary=common.tolist(), output_mode="one_hot")
            found = ops.cast(lookup(samples[:, place : place + 1]), "float64")
            parts.append(found[:, 1:])  # the first place is that of other categories
            if rare is not None:
                parts.append(found[:, :1])
    return inputs, ops.concatenate(parts, axis=-1)


def _known_categories(preparation):
    """Return the categories of each column of text."""
    names = preparation.transformers_[1][2]
    return preparation.named_transformers_["categories"].categories_ if len(names) else []


def _standardize(scaler, n_features):
    """Return layers that standardise in double precision: in single, a date has no minutes.

    Keras rounds the parameters of `Rescaling` to single precision. So the first layer
    subtracts the rounded mean, and the second what the rounding lost, where it is small.
    """
    mean = scaler.mean_ if scaler.with_mean else np.zeros(n_features)
    scale = scaler.scale_ if scaler.with_std else np.ones(n_features)
    rounded = mean.astype(np.float32).astype(np.float64)
    return _rescale((np.ones(n_features), -rounded), (1 / scale, (rounded - mean) / scale))


def _restore(scaler):
    """Return layers that turn standardised targets into their units, in double precision."""
    rounded = scaler.mean_.astype(np.float32).astype(np.float64)
    return _rescale((scaler.scale_, scaler.mean_ - rounded), (np.ones_like(rounded), rounded))


def _rescale(*steps):
    return [
        layers.Rescaling(factor.tolist(), offset.tolist(), dtype="float64")
        for factor, offset in steps
    ]


def check_exported(content: bytes, pipeline: Pipeline, X: np.ndarray | pd.DataFrame) -> bool:
    """Check that an exported network predicts what its pipeline predicts.

    Parameters
    ----------
    content, pipeline
        Return value of `export_network`, and the pipeline that was exported.
    X : array or frame of shape (n_samples, n_features)

    Returns
    -------
    bool
        Whether the network's own method ``predict``, for which Keras rounds X to single
        precision, is accurate, too, to 0.001. It takes no frame.

    Raises
    ------
    ValueError
        If a probability differs by more than 0.00001, or a number by more than 0.00001 standard
        deviations of the training targets, because a feature is of an extreme size.
    """
    network, labels = load_network(content), read_labels(content)
    if "classes" in labels:
        expected, decode = pipeline.predict_proba(X), _of_classes
        what, unit = "probabilities", 1
    else:
        expected, decode = pipeline.predict(X)[:, np.newaxis], np.asarray
        what, unit = "numbers", pipeline["mlp"].target_encoder_.scaler_.scale_
    difference = np.abs((decode(_outputs(network, labels, X)) - expected) / unit).max()
    if not difference <= TOLERANCE:
        raise ValueError(
            f"the exported network's {what} differ from the pipeline's by up to "
            f"{difference:.2g}; a feature's numbers are too large or too small, use other units"
        )
    if isinstance(X, pd.DataFrame):
        return True
    rounded = decode(network.predict(X, verbose=0))
    return np.abs((rounded - expected) / unit).max() <= TOLERANCE_ROUNDED


def load_network(content: bytes) -> keras.Model:
    """Load a network from the return value of `export_network`.

    Returns
    -------
    keras.Model
        Maps samples to (n_samples, 1), the probability of the second of two classes or a number,
        or to (n_samples, n_classes).

    Raises
    ------
    ValueError
        If the content was not made by `export_network`.
    """
    labels = read_labels(content)
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "network.keras"
            path.write_bytes(content)
            network = keras.saving.load_model(path, compile=False, safe_mode=True)
        n_features, n_classes = 0, len(labels.get("classes", [""]))
        for samples in network.inputs:
            text = samples.name == "categories" and "categories" in labels
            if (samples.dtype == "string") != text:
                raise ValueError(f"an input of {samples.dtype}")
            _, n_columns = samples.shape
            n_features += n_columns
        _, n_outputs = network.output_shape
        possible = (n_classes,) if n_classes != 2 else (1, 2)
        if n_features != len(labels["features"]) or n_outputs not in possible:
            raise ValueError(f"labels of other features or classes than those of {network.inputs}")
    except Exception as error:  # Keras raises errors of any type
        raise ValueError("the content is not an exported network, or is corrupt") from error
    return network


def predict(
    network: keras.Model, labels: Mapping, X: np.ndarray | pd.DataFrame
) -> tuple[np.ndarray, np.ndarray]:
    """Predict classes with an exported network in double precision.

    Parameters
    ----------
    network, labels
        ``load_network(content)`` and ``read_labels(content)``.
    X : array of shape (n_samples, n_features), or frame with the columns by name

    Returns
    -------
    classes : array of shape (n_samples,)
    probability : float32 array of shape (n_samples, n_classes)
    """
    probability = _of_classes(_outputs(network, labels, X))
    return np.array(labels["classes"])[probability.argmax(axis=1)], probability


def predict_numbers(
    network: keras.Model, labels: Mapping, X: np.ndarray | pd.DataFrame
) -> np.ndarray:
    """Predict numbers with an exported network in double precision.

    The parameters are those of `predict`; returns a float64 array of shape (n_samples,).
    """
    return _outputs(network, labels, X)[:, 0]


def _outputs(network, labels, X):
    # Batches of tensors stay in double precision; Keras rounds an array to single precision.
    samples = X
    if "categories" in labels:
        categories = list(labels["categories"])
        numbers = [name for name in labels["features"] if name not in labels["categories"]]
        samples = {
            name: X[columns].to_numpy(kind)
            for name, columns, kind in (
                ("numbers", numbers, np.float64),
                ("categories", categories, object),
            )
            if columns
        }
    else:
        samples = np.asarray(X, np.float64)
    batches = tf.data.Dataset.from_tensor_slices(samples).batch(1024)
    return network.predict(batches, verbose=0)


def _of_classes(outputs):
    """Return the probability of every class; a single output is that of the second of two."""
    return np.column_stack([1 - outputs, outputs]) if outputs.shape[1] == 1 else outputs

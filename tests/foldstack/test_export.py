"""An exported network predicts what its pipeline predicts."""

import json
import tempfile
import zipfile
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from experiments import foldstack
from tests.conftest import run_python


def test_an_exported_network_is_exact_for_large_numbers():
    """Seconds since 1970 have no minutes left in single precision."""
    generator = np.random.default_rng(0)
    X = np.c_[1.7e9 + generator.uniform(0, 600, 60), generator.normal(size=60) / 1e9]
    y = np.where(X[:, 0] > 1.7e9 + 300, "late", "early")

    def fit(X, seed=0):
        return foldstack.build_pipeline(hidden_units=(8,), epochs=20, random_state=seed).fit(X, y)

    fitted, small = fit(X), fit(X - 1.7e9)
    content = foldstack.export_network(fitted, ["second", "tiny"])
    assert not foldstack.check_exported(content, fitted, X)  # Keras' own predict(X) is not exact
    exported = foldstack.export_network(small, ["s", "tiny"])
    assert foldstack.check_exported(exported, small, X - 1.7e9)
    with pytest.raises(ValueError, match="the exported network's probabilities differ"):
        foldstack.check_exported(content, fit(X, seed=1), X)
    labels = foldstack.read_labels(content)
    assert labels == {"classes": ["early", "late"], "features": ["second", "tiny"]}
    network = foldstack.load_network(content)
    predicted, probability = foldstack.predict(network, labels, X)
    assert predicted.tolist() == ["late" if p > 0.5 else "early" for p in probability[:, 1]]
    np.testing.assert_allclose(probability, fitted.predict_proba(X), atol=1e-5)


def test_an_exported_network_predicts_numbers_in_their_units():
    """Seconds since 1970, to a part of their standard deviation."""
    X = np.random.default_rng(0).normal(size=(60, 2))
    y = 1.7e9 + 300 * X[:, 0]
    pipeline = foldstack.build_pipeline(
        task="regression", hidden_units=(8,), epochs=40, random_state=0
    )
    fitted = pipeline.fit(X, y)
    content = foldstack.export_network(fitted, ["a", "b"], "when")
    assert foldstack.check_exported(content, fitted, X)
    labels = foldstack.read_labels(content)
    assert labels == {"number": "when", "features": ["a", "b"]}
    predicted = foldstack.predict_numbers(foldstack.load_network(content), labels, X)
    np.testing.assert_allclose(predicted, fitted.predict(X), rtol=0, atol=1e-5 * y.std())
    assert np.corrcoef(predicted, y)[0, 1] > 0.9
    other = foldstack.build_pipeline(task="regression", epochs=1, random_state=1).fit(X, y)
    with pytest.raises(ValueError, match="the exported network's numbers differ"):
        foldstack.check_exported(content, other, X)


@pytest.mark.parametrize("content", [b"", b"no archive"])
def test_other_content_is_refused(content):
    for read in (foldstack.read_labels, foldstack.load_network):
        with pytest.raises(ValueError, match="not an exported network, or is corrupt"):
            read(content)


def archive(inputs, outputs, labels):
    """Return a network with labels, as the content of a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.keras"
        keras.Model(inputs, outputs).save(path)
        with zipfile.ZipFile(path, "a") as file:
            file.writestr("labels.json", json.dumps(labels))
        return path.read_bytes()


def test_networks_of_another_shape_are_refused():
    dense, three, four = keras.layers.Dense, keras.Input((3,)), keras.Input((4,))
    deep, text = keras.Input((1, 3)), keras.Input((3,), dtype="string")
    networks = {
        "two outputs": (three, [dense(1)(three), dense(1)(three)]),
        "named outputs": (three, {"a": dense(1)(three), "b": dense(1)(three)}),
        "a number for all rows": (three, keras.ops.sum(three)),
        "a number for each row": (three, keras.ops.sum(three, axis=1)),
        "more axes": (three, keras.layers.Reshape((3, 1))(three)),
        "inputs of more axes": (deep, dense(1)(keras.layers.Flatten()(deep))),
        "inputs of strings": (text, keras.layers.StringLookup(output_mode="multi_hot")(text)),
        "other features": (four, dense(1)(four)),
        "other classes": (three, dense(4)(three)),
    }
    labels = {"classes": ["a", "b"], "features": ["x", "y", "z"]}
    foldstack.load_network(archive(three, dense(1)(three), labels))
    for network in networks.values():
        content = archive(*network, labels)
        with pytest.raises(ValueError, match="not an exported network, or is corrupt"):
            foldstack.load_network(content)


def test_an_exported_network_takes_raw_columns():
    """Text, unknown text, missing cells, more than 50 categories, three classes."""
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": generator.normal(size=300),
            "town": generator.choice(["Oslo", "Rome", ""], 300),
            "when": 1.7e9 + generator.uniform(0, 600, 300),
            "shop": [f"shop {int(number)}" for number in generator.exponential(40, 300)],
        }
    )
    frame.loc[::7, "size"] = np.nan
    y = np.select([frame["town"] == "Oslo", frame["size"] > 0], ["a", "b"], "c")
    pipeline = foldstack.build_pipeline(hidden_units=(8,), epochs=20, random_state=0)
    pipeline.steps.insert(0, ("prepare", foldstack.build_preparation()))
    content = foldstack.export_network(pipeline.fit(frame, y), list(frame))
    assert foldstack.check_exported(content, pipeline, frame)
    labels = foldstack.read_labels(content)
    assert labels["classes"] == ["a", "b", "c"]
    assert labels["categories"]["town"] == ["", "Oslo", "Rome"]
    new = frame[::-1].assign(town="Bergen", shop="none", size=np.nan)
    predicted, probability = foldstack.predict(foldstack.load_network(content), labels, new)
    np.testing.assert_allclose(probability, pipeline.predict_proba(new), atol=1e-5)
    assert predicted.tolist() == pipeline.predict(new).tolist()


def test_an_exported_network_is_read_without_the_library(tmp_path):
    frame = pd.DataFrame({"kind": ["x", "y"] * 20, "width": np.arange(40.0)})
    pipeline = foldstack.build_pipeline(hidden_units=(4,), epochs=2, random_state=0)
    pipeline.steps.insert(0, ("prepare", foldstack.build_preparation()))
    pipeline.fit(frame, ["no", "yes"] * 20)
    (tmp_path / "tuned.keras").write_bytes(foldstack.export_network(pipeline, list(frame)))
    (tmp_path / "script.py").write_text(
        """import keras, tensorflow as tf
network = keras.saving.load_model("tuned.keras", safe_mode=True)
rows = {"numbers": tf.constant([[3.0], [float("nan")]]), "categories": tf.constant([["x"], ["?"]])}
print(network(rows).shape)"""
    )
    done = run_python("script.py", cwd=tmp_path, check=True)
    assert done.stdout == "(2, 1)\n"

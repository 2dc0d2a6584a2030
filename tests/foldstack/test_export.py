"""An exported network predicts what its pipeline predicts."""

import numpy as np
import pytest

from experiments import foldstack


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
    predicted, probability = foldstack.predict(network, labels["classes"], X)
    assert predicted.tolist() == ["late" if p > 0.5 else "early" for p in probability]


@pytest.mark.parametrize("content", [b"", b"no archive"])
def test_other_content_is_refused(content):
    for read in (foldstack.read_labels, foldstack.load_network):
        with pytest.raises(ValueError, match="not an exported network, or is corrupt"):
            read(content)

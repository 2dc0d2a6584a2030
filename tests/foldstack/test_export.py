"""An exported network predicts what its pipeline predicts."""

import numpy as np
import pytest

from experiments.foldstack import (
    build_pipeline,
    check_exported,
    export_network,
    load_network,
    predict,
    read_labels,
)

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras, when saving


def test_an_exported_network_is_exact_for_large_numbers():
    """Seconds since 1970 have no minutes left in single precision."""
    generator = np.random.default_rng(0)
    X = np.c_[1.7e9 + generator.uniform(0, 600, 60), generator.normal(size=60) / 1e9]
    y = np.where(X[:, 0] > 1.7e9 + 300, "late", "early")
    fitted = build_pipeline(hidden_units=(8,), epochs=20, random_state=0).fit(X, y)
    content = export_network(fitted, ["second", "tiny"])
    assert not check_exported(content, fitted, X)  # Keras' own predict(X) is not exact
    small = build_pipeline(hidden_units=(8,), epochs=20, random_state=0).fit(X - 1.7e9, y)
    assert check_exported(export_network(small, ["s", "tiny"]), small, X - 1.7e9)
    other = build_pipeline(hidden_units=(8,), epochs=20, random_state=1).fit(X, y)
    with pytest.raises(ValueError, match="the exported network's probabilities differ"):
        check_exported(content, other, X)
    labels = read_labels(content)
    assert labels == {"classes": ["early", "late"], "features": ["second", "tiny"]}
    predicted, probability = predict(load_network(content), labels["classes"], X)
    assert predicted.tolist() == ["late" if p > 0.5 else "early" for p in probability]


@pytest.mark.parametrize("content", [b"", b"no archive"])
def test_other_content_is_refused(content):
    for read in (read_labels, load_network):
        with pytest.raises(ValueError, match="not an exported network, or is corrupt"):
            read(content)

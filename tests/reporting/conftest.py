"""The committed results, and copies that a test may change."""

import hashlib
import json
import shutil

import matplotlib.pyplot as plt
import pytest


@pytest.fixture(autouse=True)
def closed_figures():
    """Close the figures of a test; Matplotlib warns of many."""
    yield
    plt.close("all")


@pytest.fixture(scope="session")
def published(committed):
    return committed / "results"


@pytest.fixture
def results(published, tmp_path):
    """A copy of the results that a test may change."""
    return shutil.copytree(published, tmp_path / "results")


def rewrite(folder, name, table=None, **changed):
    """Write a table and its metadata with some keys changed, checksum included."""
    path = folder / f"{name}.csv"
    if table is not None:
        path.write_text(table.to_csv(index=False, lineterminator="\n"))
    metadata = json.loads(path.with_suffix(".json").read_text()) | changed
    metadata["table_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".json").write_text(json.dumps(metadata))

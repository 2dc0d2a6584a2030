"""The committed results, as the tests of the pages need them."""

import hashlib
import json
import shutil

import pandas as pd
import pytest

# The committed tables still have their old column and claim names. Once they are regenerated,
# `CLAIMS` and the body of `converted` go: it is then `committed / "results"`.
CLAIMS = [
    *("moderate_rates_help", "low_rates_do_nothing", "high_rates_underlearn"),
    *("larger_network_helps", "dropout_everywhere_helps", "high_learning_rate_helps"),
    *("max_norm_against_none", "max_norm_against_3"),
]
RENAMED = {r"^these_": "dataset_", r"^new_(?!data_)": "new_data_"}
OBSERVATIONS = {r"_these_": "_dataset_", r"_new_(?!data_)": "_new_data_"}


@pytest.fixture(scope="session")
def converted(committed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("converted") / "results"
    shutil.copytree(committed / "results", folder)
    for name in ("comparison", "tips-comparison", "evaluation"):
        table = pd.read_csv(folder / f"{name}.csv", dtype=str, keep_default_na=False)
        table.columns = table.columns.to_series().replace(RENAMED, regex=True)
        table = table.replace({"observation": OBSERVATIONS}, regex=True)
        if "claim" in table:
            table["claim"] = [CLAIMS[number] for number in pd.factorize(table["claim"])[0]]
        rewrite(folder, name, table)
    # The metadata of the committed validation lack keys that the schema asks for.
    rewrite(folder, "validation", **json.loads((folder / "baseline.json").read_text()))
    for ending in ("csv", "json"):
        (folder / f"claims.{ending}").unlink()
    return folder


@pytest.fixture
def results(converted, tmp_path):
    """A copy of the results that a test may change."""
    return shutil.copytree(converted, tmp_path / "results")


def rewrite(folder, name, table=None, **changed):
    """Write a table and its metadata with some keys changed, checksum included."""
    path = folder / f"{name}.csv"
    if table is not None:
        path.write_text(table.to_csv(index=False, lineterminator="\n"))
    metadata = json.loads(path.with_suffix(".json").read_text()) | changed
    metadata["table_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".json").write_text(json.dumps(metadata))

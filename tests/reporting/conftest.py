"""The committed results, as the tests of the pages need them."""

import hashlib
import json
import shutil

import pandas as pd
import pytest

# Until the tables are committed under their new names; then `converted` is `committed / "results"`.
CLAIMS = {
    "20% to 50% dropout helps": "moderate_rates_help",
    "too little dropout (5%, 10%) does nothing": "low_rates_do_nothing",
    "too much dropout (80%, 90%) under-learns": "high_rates_underlearn",
    "a larger network does better with dropout": "larger_network_helps",
    "dropout at every layer, inputs too, does better": "dropout_everywhere_helps",
    "a large learning rate with decay and a high momentum does better": "high_learning_rate_helps",
    "a max-norm of 4 or 5 does better than none": "max_norm_against_none",
    "a max-norm of 4 or 5 does better than 3 (the tutorial advises the one, uses the other)": (
        "max_norm_against_3"
    ),
}


@pytest.fixture(scope="session")
def converted(committed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("converted") / "results"
    shutil.copytree(committed / "results", folder)
    for name in ("comparison", "tips-comparison", "evaluation"):
        table = pd.read_csv(folder / f"{name}.csv", dtype=str, keep_default_na=False)
        table.columns = table.columns.str.replace(r"^these_", "dataset_", regex=True)
        table.columns = table.columns.str.replace(r"^new_(?!data_)", "new_data_", regex=True)
        table = table.replace({"claim": CLAIMS})
        if name == "evaluation":
            observation = table["observation"].str.replace("_these_", "_dataset_")
            observation = observation.str.replace(r"_new_(?!data_)", "_new_data_", regex=True)
            table["observation"] = observation
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

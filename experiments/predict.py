"""Predict: class and probability for every row of a table, by a network of `make tune`.

The table has the columns that the network was tuned on, in that order or, with a header, by
name; other columns of a table with a header are ignored.

    $ make predict MODEL=results/tuned.keras DATA=new.csv
    yes 12, no 8
      written:   results/predictions.csv
"""

import contextlib
import hashlib

import numpy as np
import pandas as pd

from experiments import foldstack
from experiments.harness import cli, store
from experiments.harness.dataset import read_rows
from experiments.harness.errors import InputError
from experiments.harness.files import check_folder, read_whole
from experiments.harness.provenance import provenance
from experiments.harness.tensorflow import start_tensorflow


def predict(options):
    """Read the network and the rows, predict, write the predictions."""
    content = read_whole(options.model)
    with model_errors(options.model):
        labels = foldstack.read_labels(content)
    X, lines, sha256 = read_rows(options.data, labels["features"])
    check_folder(options.results)
    start_tensorflow()
    with model_errors(options.model):
        network = foldstack.load_network(content)
        label, probability = foldstack.predict(network, labels["classes"], X)
    if not np.isfinite(probability).all():
        line = lines[int(np.isfinite(probability).argmin())]
        cause = "a number there is too far from those that it was trained on"
        problem = f"{options.data}, line {line}: the network gives no probability"
        raise InputError(f"{problem}; {cause}")
    table = pd.DataFrame({"line": lines, "class": label})
    table[f"probability of {labels['classes'][1]}"] = probability
    metadata = {
        "model": {"file": options.model.name, "sha256": hashlib.sha256(content).hexdigest()},
        "data": {"file": options.data.name, "rows": len(X), "sha256": sha256},
    } | provenance()
    path = store.write_tables(options.results, {"predictions": table}, metadata)
    print(", ".join(f"{name} {number}" for name, number in table["class"].value_counts().items()))
    print(f"  written:   {path}")


@contextlib.contextmanager
def model_errors(path):
    """Turn the library's errors about a file into one line."""
    try:
        yield
    except ValueError as error:
        raise InputError(f"{path} is not a model saved by `make tune`, or is corrupt") from error


main = cli.script("predict", __doc__, predict)

if __name__ == "__main__":
    main()

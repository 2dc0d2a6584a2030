"""Predict: class and probability for every row of a table, by a network of `make tune`.

The table has the columns that the network was tuned on, in that order or, with a header, by
name; other columns of a table with a header are ignored. Categories that the network does not
know are counted and said.

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
from experiments.harness.errors import InputError, printable
from experiments.harness.files import read_whole
from experiments.harness.provenance import provenance
from experiments.harness.replacing import check_results
from experiments.harness.tensorflow import start_tensorflow

ROUNDING = 1e-5  # of a probability


def predict(options):
    """Read the network and the rows, predict, write the predictions."""
    content = read_whole(options.model)
    with model_errors(options.model):
        labels = foldstack.read_labels(content)
    rows = read_rows(options.data, labels["features"], labels.get("categories"))
    check_results("predict", options)
    start_tensorflow()
    with model_errors(options.model):
        network = foldstack.load_network(content)
        predicted, probability = foldstack.predict(network, labels, rows.X)
    if (np.abs(probability - 0.5) > 0.5 + ROUNDING).any():
        raise InputError(f"{options.model}: what the network returns are no probabilities")
    if not np.isfinite(probability).all():
        line = rows.lines[int(np.isfinite(probability).all(axis=1).argmin())]
        cause = "a number there is too far from those that it was trained on"
        problem = f"{options.data}, line {line}: the network gives no probability"
        raise InputError(f"{problem}; {cause}")
    table = pd.DataFrame({"line": rows.lines, "class": predicted})
    classes = labels["classes"]
    for place in [1] if len(classes) == 2 else range(len(classes)):
        table[f"probability of {classes[place]}"] = probability[:, place]
    metadata = {
        "model": {"file": options.model.name, "sha256": hashlib.sha256(content).hexdigest()},
        "data": {"file": options.data.name, "rows": len(rows.lines), "sha256": rows.sha256},
    } | provenance()
    path = store.write_tables(options.results, {"predictions": table}, metadata)
    counts = table["class"].value_counts()
    print(", ".join(f"{printable(name)} {number}" for name, number in counts.items()))
    for name, number in rows.unknown.items():
        print(
            f"  note:      {printable(name)} has {number} cell{'s' if number > 1 else ''} "
            "that the network does not know"
        )
    print(f"  written:   {path}")


@contextlib.contextmanager
def model_errors(path):
    """Turn whatever a file that is no such network leads to into one line."""
    try:
        yield
    except Exception as error:  # Keras and TensorFlow raise errors of any type
        raise InputError(f"{path} is not a model saved by `make tune`, or is corrupt") from error


main = cli.script("predict", __doc__, predict)

if __name__ == "__main__":
    main()

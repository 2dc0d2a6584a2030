"""Predict: the class or the number of every row of a table, by a network of `make tune`.

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
from experiments.harness.dataset import describe_numbers, read_rows
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
        columns, summary = predictions(network, labels, rows.X)
    table = pd.DataFrame({"line": rows.lines} | columns)
    probability = table.filter(regex="^probability of ")
    if (probability - 0.5).abs().gt(0.5 + ROUNDING).any(axis=None):
        raise InputError(f"{options.model}: what the network returns are no probabilities")
    finite = np.isfinite(table.select_dtypes("number").to_numpy()).all(axis=1)
    if not finite.all():
        line = rows.lines[int(finite.argmin())]
        cause = "a number there is too far from those that it was trained on"
        what = "probability" if "classes" in labels else "number"
        problem = f"{options.data}, line {line}: the network gives no {what}"
        raise InputError(f"{problem}; {cause}")
    metadata = {
        "model": {"file": options.model.name, "sha256": hashlib.sha256(content).hexdigest()},
        "data": {"file": options.data.name, "rows": len(rows.lines), "sha256": rows.sha256},
    } | provenance()
    path = store.write_tables(options.results, {"predictions": table}, metadata)
    print(summary)
    for name, number in rows.unknown.items():
        print(
            f"  note:      {printable(name)} has {number} cell{'s' if number > 1 else ''} "
            "that the network does not know"
        )
    print(f"  written:   {path}")


def predictions(network, labels, X):
    """Return the columns of the predictions, and what to print of them."""
    if "number" in labels:
        numbers = foldstack.predict_numbers(network, labels, X)
        summary = f"{len(numbers):,} predictions, {describe_numbers(numbers)}"
        return {f"predicted {labels['number']}": numbers}, summary
    predicted, probability = foldstack.predict(network, labels, X)
    classes, columns = labels["classes"], {"class": predicted}
    for place in [1] if len(classes) == 2 else range(len(classes)):
        columns[f"probability of {classes[place]}"] = probability[:, place]
    counts = pd.Series(predicted).value_counts()
    return columns, ", ".join(f"{printable(name)} {number}" for name, number in counts.items())


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

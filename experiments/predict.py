"""Predict: class and probability for every row of a table, by a network of `make tune`.

The table has the columns that the network was tuned on, in that order or, with a header,
by name; other columns of a table with a header are left alone.

    $ make predict MODEL=results/tuned.keras DATA=new.csv
    yes 12, no 8
      written:   results/predictions.csv
"""

from pathlib import Path

from experiments.harness.cli import (
    ALL_BUT_RESULTS,
    add_experiment_options,
    answer_mistakes,
    script_parser,
)
from experiments.harness.errors import InputError


def main(argv=None):
    """Predict."""
    parser = script_parser("predict", __doc__)
    leave_out = [name for name in ALL_BUT_RESULTS if name != "data"]
    add_experiment_options(parser, leave_out=leave_out)
    parser.add_argument(
        "--model", type=Path, default=Path("results/tuned.keras"), metavar="FILE",
        help="a network of make tune (default: %(default)s)",
    )  # fmt: skip
    options = parser.parse_args(argv)
    answer_mistakes("predict", lambda: _predict(options))


def _predict(options):
    from experiments.foldstack.export import read_network

    content, labels = read_network(options.model)

    from experiments.harness import files
    from experiments.harness import store as tables
    from experiments.harness.dataset import read_rows

    X, lines, sha256 = read_rows(options.data, labels["features"])
    files.check_folder(options.results)

    import hashlib

    import numpy as np
    import pandas as pd

    from experiments.foldstack.export import load_network, predict
    from experiments.harness.provenance import provenance

    network = load_network(content, options.model)
    if network.input_shape[-1] != X.shape[1]:
        raise InputError(f"{options.model} is no network of `make tune`, or broken")
    label, probability = predict(network, labels["classes"], X)
    second = labels["classes"][1]
    if not np.isfinite(probability).all():
        line = lines[int(np.isfinite(probability).argmin())]
        raise InputError(
            f"{options.data}, line {line}: the network gives no probability; a number there is "
            "too far from those that it was trained on"
        )
    table = pd.DataFrame({"line": lines, "class": label, f"probability of {second}": probability})
    record = {
        "model": {
            "file": options.model.name,
            "sha256": hashlib.sha256(content).hexdigest(),
        },
        "data": {"file": options.data.name, "rows": len(X), "sha256": sha256},
    } | provenance()
    path = tables.write_table(options.results, "predictions", table, record)
    print(", ".join(f"{name} {number}" for name, number in table["class"].value_counts().items()))
    print(f"  written:   {path}")


if __name__ == "__main__":
    main()

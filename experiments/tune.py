"""Tune: how much dropout, where, and does it help at all, on a table of your own?

Nested cross-validation. In each outer fold, inner folds choose among candidates: drawn at
random from a space of dropout rates, learning rates, momenta, max-norms and widths, a third
of them without dropout. The chosen one is trained on the outer fold's training rows and
scored on rows that no choice has seen, so that the accuracy reported is that of the whole
procedure. On the same folds are scored the untuned baseline, the best candidate with
dropout and the best without. Then the candidates are compared on all rows, and the best is
trained on all of them and written as a network to take along.

    $ make tune DATA=mine.csv
    Tuned: 87.0% on rows that the search never saw, 10 outer folds, 30 candidates.
    The untuned baseline: 86.8% on the same folds. Tuned less baseline: +0.3 points, ...
    ...

--space FILE.toml replaces the space: a line for each parameter, as in
`mlp__model__max_norm = ["none", 3, 4]`, or with bounds,
`mlp__model__learning_rate = {low = 0.001, high = 0.1, log = true}`.
"""

import tomllib
from pathlib import Path

from experiments.harness.cli import (
    add_experiment_options,
    answer_mistakes,
    script_parser,
    whole,
)
from experiments.harness.errors import InputError

MODEL = "mlp__model__"
SPACE = {
    f"{MODEL}visible_dropout": [0.0, 0.1, 0.2, 0.3, 0.4, 0.5],
    f"{MODEL}hidden_dropout": [0.0, 0.1, 0.2, 0.3, 0.4, 0.5],
    f"{MODEL}learning_rate": [0.01, 0.03, 0.1],
    f"{MODEL}momentum": [0.8, 0.9, 0.95],
    f"{MODEL}max_norm": [None, 2.0, 3.0, 4.0],
    f"{MODEL}hidden_units": [(30, 15), (60, 30), (120, 60)],
}
NO_DROPOUT = {f"{MODEL}visible_dropout": [0.0], f"{MODEL}hidden_dropout": [0.0]}


def main(argv=None):
    """Tune on a table."""
    parser = script_parser("tune", __doc__)
    add_experiment_options(parser, leave_out=("repeats", "engine", "curves", "verbose"))
    # fmt: off
    parser.add_argument("--inner-folds", type=whole(2), default=5, metavar="N",
        help="folds that choose, within the training rows of each fold (default: %(default)s)")
    parser.add_argument("--candidates", type=whole(1), default=30, metavar="N",
        help="settings to draw from the space (default: %(default)s)")
    parser.add_argument("--space", type=Path, metavar="FILE",
        help="a TOML file of parameters and their values, instead of the default space")
    # fmt: on
    options = parser.parse_args(argv)
    answer_mistakes("tune", lambda: _tune(options))


def _tune(options):
    space = SPACE if options.space is None else read_space(options.space)

    from experiments.harness.dataset import read_dataset

    # Every class needs a row in each inner fold of the training rows of each outer fold.
    data = read_dataset(options.data, folds=options.folds, target=options.target)
    smallest = min((data.y == label).sum() for label in data.classes)
    if smallest - -(-smallest // options.folds) < options.inner_folds:
        raise InputError(
            f"{options.data}: the smaller class has {smallest} rows, too few for "
            f"{options.inner_folds} inner folds in each of {options.folds}; set fewer of either"
        )

    import numpy as np

    from experiments.harness import files
    from experiments.harness import store as tables

    files.check_folder(options.results)

    from experiments.foldstack.classifier import build_pipeline
    from experiments.foldstack.cluster import computing_on
    from experiments.foldstack.export import check_packed, pack_network
    from experiments.foldstack.model_selection import draw_candidates, refit
    from experiments.foldstack.nested import check_candidates, nested_cross_validate, nested_splits
    from experiments.harness.progress import progress_bar
    from experiments.harness.runner import record_of
    from experiments.reporting.pages import tuning_words

    pipeline = build_pipeline({}, epochs=options.epochs, random_state=options.seed)
    without = options.candidates // 3 if options.space is None else 0
    candidates = draw_candidates(space | NO_DROPOUT, without, options.seed) if without else []
    candidates += draw_candidates(space, options.candidates - without, options.seed)
    check_candidates(pipeline, candidates, data.X.shape[1])
    outer, inner = nested_splits(
        data.X, data.y, folds=options.folds, inner_folds=options.inner_folds, seed=options.seed
    )
    total = sum(map(len, inner)) * len(candidates)
    with computing_on(options.scheduler), progress_bar("tune", total) as progress:
        tuning, tuned, best = nested_cross_validate(
            pipeline, candidates, data.X, data.y, outer, inner,
            seed=options.seed, jobs=options.jobs, progress=progress,
        )  # fmt: skip
    fitted = refit(pipeline, candidates[best], data.X, data.y, seed=options.seed)
    network = None  # an earlier one would not be of these tables
    if all(np.isfinite(weights).all() for weights in fitted["mlp"].model_.get_weights()):
        network = pack_network(fitted, data.features)
        plain = check_packed(network, fitted, data.X)

    options.repeats = 1
    record = record_of(
        "tune", options, data, outer, inner_folds=options.inner_folds,
        space={name: _described(values) for name, values in space.items()},
        candidates=candidates, best=best,
    )  # fmt: skip
    with files.locked(options.results):
        path = tables.write_tables(
            options.results, {"tuning": tuning, "tuned": tuned}, record,
            files={"tuned.keras": network},
        )  # fmt: skip
        words = tuning_words(options.results)
    for line in words:
        print(line.replace("*", ""))
    print(f"  written:   {path}, {options.results / 'tuning.csv'}")
    if network is None:
        raise InputError(
            "no network was written: with the settings to use it diverged on all rows; leave the "
            "largest learning rates out of the space"
        )
    print(f"  network:   {options.results / 'tuned.keras'}")
    if not plain:
        print("  note:      numbers as large as this table's are rounded too coarsely by Keras'\n"
              "             own network.predict(rows); use make predict")  # fmt: skip


def read_space(path: Path) -> dict:
    """Read a space of parameters: lists, or tables ``{low, high, log}``; "none" is None.

    Raises
    ------
    InputError
        If the file is not such a space.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: {error}") from error
    if not content:
        raise InputError(f"{path} has no parameters")
    return {name: _values(path, name, values) for name, values in content.items()}


def _values(path, name, values):
    from scipy import stats

    if isinstance(values, list) and values:
        none = 0.0 if name.endswith("dropout") else None
        return [
            none if value == "none" else tuple(value) if isinstance(value, list) else value
            for value in values
        ]
    whole = isinstance(values, dict) and isinstance(values.get("log", False), bool)
    if whole and {"low", "high"} <= set(values) <= {"low", "high", "log"}:
        low, high = values["low"], values["high"]
        try:
            if low < high and (low > 0 or not values.get("log")):
                return (
                    stats.loguniform(low, high)
                    if values.get("log")
                    else stats.uniform(low, high - low)
                )
        except (TypeError, OverflowError):
            pass
    raise InputError(f"{path}: {name} needs a list of values, or {{low = …, high = …}}")


def _described(values):
    if isinstance(values, list):
        return values
    low, high = map(float, values.support())
    return {"low": low, "high": high, "log": values.dist.name == "loguniform"}


if __name__ == "__main__":
    main()

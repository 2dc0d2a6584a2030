"""Tune: how much dropout, where, and does it help at all, on a dataset of your own?

Nested cross-validation. In each outer fold, inner folds choose among candidates drawn at random
from a space of dropout rates, learning rates, momenta, max-norms and widths; a third of them
have no dropout. The chosen candidate is trained on the outer fold's training rows and scored on
its held-out rows, which no choice has seen, so the reported accuracy is that of the whole
procedure. The untuned baseline, the best candidate with dropout and the best without are scored
on the same folds. Finally the candidates are compared on all rows; the best is trained on all of
them and saved as a network.

    $ make tune DATA=mine.csv
    Tuned: 87.0% on held-out rows, 10 outer folds, 30 candidates.
    The untuned baseline: 86.8% on the same folds. Tuned minus baseline: +0.3 points, ...
    ...

--space FILE.toml replaces the space: one line per parameter, as in
`mlp__model__max_norm = ["none", 3, 4]`, or with bounds,
`mlp__model__learning_rate = {low = 0.001, high = 0.1, log = true}`.
"""

import numpy as np
import pandas as pd

from experiments import foldstack
from experiments.harness.errors import InputError
from experiments.harness.files import locked
from experiments.harness.runner import run
from experiments.harness.space import MODEL, NO_DROPOUT, RATES, SPACE, describe_space, read_space
from experiments.reporting.pages import tuning_summary


def main(argv=None):
    """Tune on a dataset."""
    run("tune", __doc__, tune, argv, check=check_options)


def check_options(this):
    """Read the space; check that each class has a row in each inner fold of each outer fold."""
    options, data = this.options, this.data
    this.space = SPACE if options.space is None else read_space(options.space)
    smallest = min((data.y == label).sum() for label in data.classes)
    if smallest - -(-smallest // options.folds) < options.inner_folds:
        raise InputError(
            f"{options.data}: the smaller class has {smallest} rows, too few for "
            f"{options.inner_folds} inner folds in each of {options.folds}; set fewer of either"
        )


def tune(this):
    """Draw candidates, cross-validate the choice among them, and save the best network."""
    options, data = this.options, this.data
    pipeline = this.pipeline()
    candidates = draw(this)
    try:
        foldstack.check_candidates(pipeline, candidates, data.X.shape[1])
    except ValueError as error:
        raise InputError(str(error)) from error
    outer, inner = foldstack.nested_splits(
        data.X,
        data.y,
        n_splits=options.folds,
        n_inner_splits=options.inner_folds,
        seed=options.seed,
    )
    with this.cluster(), this.progress(sum(map(len, inner)) * len(candidates)) as progress:
        scores = foldstack.nested_cross_validate(
            pipeline,
            candidates,
            data.X,
            data.y,
            outer,
            inner,
            groups=by_dropout(candidates),
            seed=options.seed,
            n_jobs=options.jobs,
            progress=progress,
        )
    best = int(scores["chosen"][-1])
    fitted = foldstack.fit_candidate(
        pipeline, candidates[best], data.X, data.y, seed=options.seed
    )
    network = None  # an earlier network would not belong to these tables
    if all(np.isfinite(weights).all() for weights in fitted["mlp"].model_.get_weights()):
        network = foldstack.export_network(fitted, data.features)
        try:
            exact = foldstack.check_exported(network, fitted, data.X)
        except ValueError as error:
            raise InputError(f"nothing was written: {error}") from error

    settings = pd.DataFrame([short_names(candidate) for candidate in candidates])
    frames = {
        "tuning": inner_table(scores, settings, options.folds),
        "tuned": outer_table(scores, settings, outer),
    }
    with locked(this.results):
        path = this.write(
            frames,
            {"tuned.keras": network},
            space=describe_space(this.space),
            candidates=candidates,
            best=best,
        )
        summary = tuning_summary(this.results)
    for line in summary:
        print(line)
    print(f"  written:   {path}, {this.results / 'tuning.csv'}")
    if network is None:
        raise InputError(
            "no network was written: with the settings to use it diverged on all rows; leave the "
            "largest learning rates out of the space"
        )
    print(f"  network:   {this.results / 'tuned.keras'}")
    if not exact:
        print(
            "  note:      Keras' own network.predict(rows) rounds numbers as large as this "
            "dataset's too coarsely; use make predict"
        )


def draw(this):
    """Draw the candidates; of the default space a third have no dropout."""
    options = this.options
    without = options.candidates // 3 if options.space is None else 0
    drawn = []
    if without:
        drawn = foldstack.draw_candidates(this.space | NO_DROPOUT, without, options.seed)
    return drawn + foldstack.draw_candidates(this.space, options.candidates - without, options.seed)


def by_dropout(candidates):
    """Group the candidates into those with and without dropout; no groups if all are of a kind."""
    groups = {"with_dropout": [], "without_dropout": []}
    for number, candidate in enumerate(candidates):
        dropout = any(candidate.get(rate) for rate in RATES)
        groups["with_dropout" if dropout else "without_dropout"].append(number)
    return groups if all(groups.values()) else {}


def short_names(candidate):
    """Return a candidate's parameters without the prefix of the network's own."""
    return {name.removeprefix(MODEL): value for name, value in candidate.items()}


def inner_table(scores, settings, n_folds):
    """Return the candidates' scores over the inner folds, by outer fold (0: all rows)."""
    inner, numbers = scores["inner"], np.arange(len(settings))
    parts = [
        pd.DataFrame(
            {
                "fold": fold,
                "candidate": numbers,
                "accuracy": inner["mean_test_score"][row],
                "std_accuracy": inner["std_test_score"][row],
                "log_loss": inner["mean_test_log_loss"][row],
                "collapsed": inner["collapsed"][row],
                "chosen": (numbers == scores["chosen"][row]).astype(int),
            }
        ).join(settings)
        for row, fold in enumerate([*range(1, n_folds + 1), 0])
    ]
    return pd.concat(parts, ignore_index=True)


def outer_table(scores, settings, outer):
    """Return the scores of the chosen candidates and their rivals on the held-out rows."""
    ways = dict(scores["outer"])
    chosen, baseline = ways.pop("chosen"), ways.pop("baseline")
    table = {
        "repeat": 1,
        "fold": np.arange(1, len(outer) + 1),
        "n_train": [len(train) for train, _ in outer],
        "n_test": [len(test) for _, test in outer],
        "accuracy": chosen["test_score"],
        "log_loss": chosen["test_log_loss"],
        "collapsed": chosen["collapsed"].astype(int),
        "baseline_accuracy": baseline["test_score"],
        "baseline_log_loss": baseline["test_log_loss"],
        "inner_accuracy": scores["inner_score"],
    }
    table |= {f"{name}_candidate": way["candidate"] for name, way in ways.items()}
    table |= {f"{name}_accuracy": way["test_score"] for name, way in ways.items()}
    table["candidate"] = chosen["candidate"]
    return pd.DataFrame(table).join(settings, on="candidate")


if __name__ == "__main__":
    main()

"""Tune: how much dropout, where, and does it help at all, on a dataset of your own?

Nested cross-validation. In each outer fold, inner folds choose among candidates drawn at random
from a space of dropout rates, learning rates, momenta, max-norms and widths; a third have no
dropout. Successive halving leaves out most of them early, and early stopping chooses the epochs
of the others. The chosen candidate is scored on the fold's held-out rows, which no choice has
seen, as are the untuned baseline and the best candidates with and without dropout. Finally the
candidates are compared on all rows, and the best is trained on them and saved as a network.

How much is trained depends on the number of rows, see `harness/plan.py`; MINUTES bounds it.

    $ make tune DATA=mine.csv
    plan: 30 candidates, 11 of them beyond epoch 34 and 5 of them beyond epoch 100; ...
    Use 30% dropout on the inputs: better than the baseline (+2.1 points, +0.6 to +3.6).
    Tuned: 87.0% on rows that the search did not use, mean over 10 outer folds; 30 candidates.
    ...

--task regression predicts a number. --scoring names what candidates are chosen by, and further
scores to report.

--space FILE.toml replaces the space: one line per parameter, as in
`mlp__model__max_norm = ["none", 3, 4]`, or with bounds,
`mlp__model__learning_rate = {low = 0.001, high = 0.1, log = true}`.
"""

from dataclasses import asdict

import numpy as np
import pandas as pd

from experiments import foldstack
from experiments.foldstack.halving import divide, full_trainings
from experiments.harness import measures, space, store
from experiments.harness.errors import InputError
from experiments.harness.plan import make_plan, measure_size
from experiments.harness.runner import script
from experiments.harness.settings import OPTIONS
from experiments.reporting import findings, gallery
from experiments.reporting.html import to_html
from experiments.reporting.pages import tuning_page, tuning_summary


def check_options(this):
    """Read the space and the scores, make the plan; check that every inner fold has rows.

    They are one of each class, or two with numbers, for which R² is defined.
    """
    options, data = this.options, this.data
    this.space = space.read_space(options.space) if options.space else space.SPACE
    this.measures = measures.reported(data, options.scoring)
    rows = np.unique(data.y, return_counts=True)[1].min() if data.classes else len(data.y) // 2
    this.table_size = measure_size(data.X, rows, this.space)
    this.plan = make_plan(this.table_size, vars(options), options.minutes, options.jobs)
    vars(options).update(asdict(this.plan))  # recorded with the results
    if rows - -(-rows // options.folds) < options.inner_folds:
        what = f"the smaller class has {rows}" if data.classes else f"there are {len(data.y)}"
        few = f"{what} rows, too few for {options.inner_folds} inner folds"
        raise InputError(f"{options.data}: {few} in each of {options.folds}; set fewer of either")


def tune(this):
    """Draw candidates, cross-validate the choice among them, and save the best network."""
    candidates = draw(this)
    scores, network, exact = search(this, candidates)
    settings = pd.DataFrame(map(space.short_names, candidates))
    tuned = outer_table(scores, settings, this.fold_columns(), this.measures)
    frames = {"tuning": inner_table(scores, settings, this.measures), "tuned": tuned}
    described = {"space": space.describe_space(this.space), "candidates": candidates}
    described |= {"best": int(scores["chosen"][-1])}
    described |= {"guessing": measures.guessing(this.data, this.measures, this.splits)}
    if len(this.data.classes) == 2:
        described |= {"f1_of": measures.rare_class(this.data)}
    answer, page = report(this, frames, described)
    path = this.results / "tuned.keras"
    if answer == "guessing" and path.exists():
        print(f"  kept:      {path} and its tables, of an earlier search")
        return
    files = {path.name: network, "report.html": page}
    written = this.write(frames, files, repeats=1, **described)
    print(f"  written:   {written}, {this.results / 'tuning.csv'}, {this.results / 'report.html'}")
    print(f"  network:   {path}")
    if not exact:
        note = "Keras' own network.predict(rows) rounds this dataset's large numbers too coarsely"
        print(f"  note:      {note}; use make predict")
    elsewhere = f" RESULTS={this.results}" if this.results != OPTIONS["results"].default else ""
    print(f"  next:      make predict MODEL={path} DATA=new.csv{elsewhere}")


def search(this, candidates):
    """Return the scores of nested cross-validation, and the best network trained on all rows."""
    (X, y), seed, halvings = (this.data.X, this.data.y), this.options.seed, this.options.halvings
    pipeline = this.pipeline(batch_size=this.options.batch_size)
    folds = {"n_splits": this.options.folds, "n_inner_splits": this.options.inner_folds}
    folds["task"] = this.data.task
    outer, inner = foldstack.nested_splits(np.zeros(len(y)), y, **folds, seed=seed)
    more = {"seed": seed, "n_jobs": this.options.jobs, "halvings": halvings}
    more["groups"] = groups = space.by_dropout(candidates)
    pools = divide(len(candidates), groups)
    with this.training(sum(map(len, inner)) * full_trainings(pools, halvings)) as progress:
        foldstack.check_candidates(pipeline, candidates, X, y)
        print(this.plan.describe(pools, this.table_size, this.options.jobs), flush=True)
        scores = foldstack.nested_cross_validate(
            pipeline, candidates, X, y, outer, inner, progress=progress, **more, **scoring(this)
        )
        fitted = foldstack.fit_candidate(pipeline, scores["best_params"], X, y, seed=seed)
        if not all(np.isfinite(weights).all() for weights in fitted["mlp"].model_.get_weights()):
            diverged = "with the best settings found the network diverges on all rows"
            hint = "leave the largest learning rates out of the space"
            raise InputError(f"{diverged}; nothing was written; {hint}")
        network = foldstack.export_network(fitted, this.data.features, this.data.target)
        return scores, network, foldstack.check_exported(network, fitted, X)


def scoring(this):
    """Return the scorers of the measures that are not the engine's own, and what chooses."""
    others = [measure for measure in this.measures if not measure.own]
    scorers = {measure.key: measure.scorer_for(this.data) for measure in others}
    return {"scoring": scorers, "choose_by": this.measures[0].key}


def report(this, frames, described):
    """Print what was found; return the kind of answer, and the HTML page."""
    tables = {name: store.round_trip(name, frame) for name, frame in frames.items()}
    metadata = store.json_round_trip(this.metadata(repeats=1, **described))
    found, figures = findings.tuning_in(tables, metadata), gallery.draw_tuning(tables, metadata)
    print(*tuning_summary(found), sep="\n")
    found |= {"read": this.data.describe()} | findings.tuning_details(tables, metadata)
    return found["answer"], to_html(tuning_page(found, figures), figures)


def draw(this):
    """Draw the candidates; of the default space a third have no dropout."""
    number, seed = this.options.candidates, this.options.seed
    n_without = 0 if this.options.space else number // 3
    without = foldstack.draw_candidates(this.space | space.NO_DROPOUT, n_without, seed)
    return without + foldstack.draw_candidates(this.space, number - n_without, seed)


def inner_table(scores, settings, reported):
    """Return the candidates' scores over the inner folds, by outer fold (0: all rows)."""
    inner, chosen = scores["inner"], scores["chosen"][:, np.newaxis] == settings.index.to_numpy()
    table = {
        "fold": np.repeat([*range(1, len(chosen)), 0], len(settings)),
        "candidate": np.tile(settings.index, len(chosen)),
    }
    for name, values in score_columns(inner, reported, "mean_test_").items():
        table[name] = values.ravel()
        measure = measures.MEASURES[name]
        if measure.key == "score" or measure is reported[0]:
            table[f"std_{name}"] = inner[f"std_test_{measure.key}"].ravel()
    table |= {"collapsed": inner["collapsed"].ravel(), "rung": inner["rung"].ravel() + 1}
    table |= {"epochs": inner["epochs"].ravel(), "chosen": chosen.ravel().astype(int)}
    return pd.DataFrame(table).join(settings, on="candidate")


def outer_table(scores, settings, columns, reported):
    """Return the scores of the chosen candidates and their rivals on the held-out rows."""
    rivals, first = dict(scores["outer"]), reported[0]
    chosen, baseline = rivals.pop("chosen"), rivals.pop("baseline")
    table = columns | score_columns(chosen, reported)
    table["collapsed"] = chosen["collapsed"].astype(int)
    of_baseline = score_columns(baseline, reported)
    table |= {f"baseline_{name}": values for name, values in of_baseline.items()}
    table[f"inner_{first.name}"] = first.as_known(scores["inner_score"])
    table |= {f"{name}_candidate": way["candidate"] for name, way in rivals.items()}
    of_rivals = {name: score_columns(way, reported)[first.name] for name, way in rivals.items()}
    table |= {f"{name}_{first.name}": values for name, values in of_rivals.items()}
    table |= {name: chosen[name] for name in ("candidate", "epochs")}
    return pd.DataFrame(table).join(settings, on="candidate")


def score_columns(scores, reported, prefix="test_"):
    """Return those columns of a table that are scores, as far as they were computed."""
    found = {each: prefix + each.key for each in measures.tabulated(reported)}
    return {each.name: each.as_known(scores[key]) for each, key in found.items() if key in scores}


main = script("tune", __doc__, tune, check=check_options)

if __name__ == "__main__":
    main()

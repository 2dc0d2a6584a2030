"""Dropout modes: what a Dropout layer does in training and at evaluation.

The tutorial says that at evaluation a Dropout layer multiplies its inputs by 1 − rate. Keras
does the opposite: in training it multiplies the units that it keeps by 1 / (1 − rate), at
evaluation it does nothing. Shown on a network of the hidden arm, with the tutorial's way
computed on the same weights. And beyond the tutorial: does it help to keep dropout on when
predicting, and to average over many passes (Monte Carlo dropout)?

    $ make evaluation
    Evaluation mode, 100 passes: the outputs are the same in every pass.
    ...
"""

import pandas as pd
from sklearn.utils import _safe_indexing

from experiments.arms import HIDDEN
from experiments.harness.layer_modes import PASSES, observe
from experiments.harness.paired import compare_tables
from experiments.harness.runner import raise_if_diverged, script
from experiments.reporting.pages import dropout_modes_summary

MONTE_CARLO_PASSES = 100


def observe_modes(this):
    """Cross-validate with and without Monte Carlo dropout, and observe one network."""
    pipeline = this.pipeline(HIDDEN)
    with this.training(len(this.splits) + 1) as progress:
        scores = this.cross_validate(pipeline, dropout_passes=MONTE_CARLO_PASSES, progress=progress)
        (fitted,) = this.cross_validate(
            pipeline, this.splits[:1], n_jobs=1, return_estimator=True, progress=progress
        )["estimator"]
    raise_if_diverged(scores)

    held_out = _safe_indexing(this.data.X, this.splits[0][1])
    rows = fitted[:-1].transform(held_out).astype("float32")
    observed, outputs = observe(fitted[-1].model_, rows)
    folds = this.per_fold_frame(scores)
    averaged = folds.assign(accuracy=scores["dropout_score"], log_loss=scores["dropout_log_loss"])
    for score, scale in (("accuracy", 100), ("log_loss", 1)):
        observed[f"monte_carlo_{score}"] = averaged[score].mean()
        observed[f"evaluation_{score}"] = folds[score].mean()
        for key, value in compare_tables(averaged, folds, score, scale)._asdict().items():
            if not key.endswith("_p"):
                observed[f"monte_carlo_{score}_{key}"] = value
        folds[f"dropout_{score}"] = averaged[score]

    table = pd.DataFrame({"observation": list(observed), "value": list(observed.values())})
    frames = {"evaluation-folds": folds, "evaluation-outputs": outputs, "evaluation": table}
    passes = {"passes": PASSES, "monte_carlo_passes": MONTE_CARLO_PASSES}
    path = this.write(frames, settings=HIDDEN, **passes)
    print(*dropout_modes_summary(this.results), f"  written:   {path}", sep="\n")


main = script("evaluation", __doc__, observe_modes)

if __name__ == "__main__":
    main()

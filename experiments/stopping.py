"""Stopping: what does early stopping give in place of dropout?

Without dropout the held-out log loss is lowest after few of the 300 epochs: later epochs
overfit. Dropout is one remedy, early stopping the usual other. Here the baseline's network
stops when the log loss of 20% of its training rows has not improved for 20 epochs, and keeps
the weights of its best epoch, on the splits of the arms. `make compare` compares it with the
baseline, which trains on all rows to the end.

    $ make stopping
    Early stopping: 82.15% after 51 epochs on average, log loss 0.42
    ...
"""

import numpy as np

from experiments.arms import BASELINE
from experiments.harness import store
from experiments.harness.growing import grow, unfinished
from experiments.harness.runner import raise_if_diverged, script

PATIENCE, VALIDATION_SPLIT = 20, 0.2


def train_with_stopping(this):
    """Cross-validate the baseline with early stopping."""
    from keras.callbacks import EarlyStopping  # not before the options have been checked

    # Keras validates on the last rows; the splits have them sorted, the table by class.
    shuffle = np.random.default_rng(this.options.seed).permutation
    this.splits = [(shuffle(train), test) for train, test in this.splits]

    def build(settings):
        stop = EarlyStopping(patience=PATIENCE, restore_best_weights=True)
        options = {"mlp__callbacks": stop, "mlp__validation_split": VALIDATION_SPLIT}
        return this.pipeline(settings).set_params(**options)

    def tabulate(_, scores, networks):
        raise_if_diverged(scores)
        folds = this.per_fold_frame(scores, networks, experiment="early stopping")
        return folds.assign(n_epochs=scores["n_epochs"])

    metadata = this.metadata(settings=BASELINE, engine="stacked", patience=PATIENCE)
    metadata |= {"validation_split": VALIDATION_SPLIT}
    settings, options = {"early stopping": BASELINE}, {"build": build}
    table = grow(this, "stopping", "experiment", settings, tabulate, metadata, **options)
    frames, files = {"stopping": table}, dict.fromkeys(unfinished("stopping"))
    path = store.write_tables(this.results, frames, metadata, files)
    means = table[["accuracy", "n_epochs", "log_loss"]].mean()
    after = f"after {means['n_epochs']:.0f} epochs on average, log loss {means['log_loss']:.2f}"
    print(f"Early stopping: {means['accuracy']:.2%} {after}")
    print(f"  written:   {path}")


INTERRUPTED = "finished networks are kept; run it again to continue"
main = script("stopping", __doc__, train_with_stopping, interrupted=INTERRUPTED)

if __name__ == "__main__":
    main()

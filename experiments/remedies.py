"""Remedies: do more epochs or another learning rate improve the hidden arm?

The tutorial finds that dropout on the hidden layers does worse than the baseline, and suggests
that more epochs or a different learning rate might help. Here the hidden arm trains at learning
rates 0.01, 0.03 and 0.1 for 1,200 epochs, scored after 300, 600 and 1,200 (one training passes
through all three). `make compare` compares them with the baseline.

    $ make remedies
    learning rate 0.01: 84.63% after 300, 84.88% after 600, ... epochs
"""

import pandas as pd

from experiments.arms import HIDDEN
from experiments.harness import store
from experiments.harness.growing import grow, unfinished
from experiments.harness.runner import raise_if_diverged, script

LEARNING_RATES = (0.01, 0.03, 0.1)
TIMES_EPOCHS = (1, 2, 4)


def train_remedies(this):
    """Cross-validate each learning rate, and read the scores off its learning curves."""
    n_epochs = [times * this.options.epochs for times in TIMES_EPOCHS]

    def tabulate(rate, scores, repeats):
        parts = []
        for epochs in n_epochs:
            at_epoch = {key: curve[:, epochs - 1] for key, curve in scores["curves"].items()}
            raise_if_diverged(at_epoch)
            more = {"learning_rate": rate, "epochs": epochs}
            parts.append(this.per_fold_frame(at_epoch, repeats, **more))
        return pd.concat(parts)

    settings = {rate: HIDDEN | {"learning_rate": rate} for rate in LEARNING_RATES}
    metadata = this.metadata(settings=HIDDEN, engine="stacked")
    more = {"epochs": n_epochs[-1], "return_curves": True}
    table = grow(this, "remedies", "learning_rate", settings, tabulate, metadata, **more)
    frames, files = {"remedies": table}, dict.fromkeys(unfinished("remedies"))
    path = store.write_tables(this.results, frames, metadata, files)
    for rate, rows in table.groupby("learning_rate"):
        means = rows.groupby("epochs")["accuracy"].mean()
        results = ", ".join(f"{mean:.2%} after {epochs}" for epochs, mean in means.items())
        print(f"learning rate {rate:<4g}: {results} epochs")
    print(f"  written:   {path}")


INTERRUPTED = "finished learning rates are kept; run it again to continue"
main = script("remedies", __doc__, train_remedies, interrupted=INTERRUPTED)

if __name__ == "__main__":
    main()

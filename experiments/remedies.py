"""Remedies: do more epochs or another learning rate improve the hidden arm?

The tutorial finds that dropout on the hidden layers does worse than the baseline, and suggests
that more epochs or a different learning rate might help. Here the hidden arm trains at learning
rates 0.01, 0.03 and 0.1 for 1,200 epochs, scored after 300, 600 and 1,200 (one training passes
through all three). `make compare` compares them with the baseline.

    $ make remedies
    learning rate 0.01: 84.56% after 300, 84.23% after 600, ... epochs
"""

import pandas as pd

from experiments.arms import HIDDEN
from experiments.harness.runner import raise_if_diverged, script

LEARNING_RATES = (0.01, 0.03, 0.1)
TIMES_EPOCHS = (1, 2, 4)


def train_remedies(this):
    """Cross-validate each learning rate, and read the scores off its learning curves."""
    n_epochs = [times * this.options.epochs for times in TIMES_EPOCHS]
    parts = []
    with this.training(len(this.splits) * len(LEARNING_RATES)) as progress:
        for rate in LEARNING_RATES:
            pipeline = this.pipeline(HIDDEN | {"learning_rate": rate}, epochs=n_epochs[-1])
            scores = this.cross_validate(pipeline, return_curves=True, progress=progress)
            for epochs in n_epochs:
                at_epoch = {key: curve[:, epochs - 1] for key, curve in scores["curves"].items()}
                raise_if_diverged(at_epoch)
                parts.append(this.per_fold_frame(at_epoch, learning_rate=rate, epochs=epochs))
    table = pd.concat(parts)
    path = this.write({"remedies": table}, settings=HIDDEN, engine="stacked")
    for rate, rows in table.groupby("learning_rate"):
        means = rows.groupby("epochs")["accuracy"].mean()
        results = ", ".join(f"{mean:.2%} after {epochs}" for epochs, mean in means.items())
        print(f"learning rate {rate:<4g}: {results} epochs")
    print(f"  written:   {path}")


main = script("remedies", __doc__, train_remedies)

if __name__ == "__main__":
    main()

"""Dropout modes: what a Dropout layer does in training and at evaluation.

The tutorial says that at evaluation a Dropout layer multiplies its inputs by 1 − rate. Keras
does the opposite: in training it multiplies the units that it keeps by 1 / (1 − rate), at
evaluation it does nothing. Shown on a network of the hidden arm, with the tutorial's way
computed on the same weights. And beyond the tutorial: does it help to keep dropout on when
predicting, and to average over many passes (Monte Carlo dropout)?

    $ make evaluation
    At evaluation, 100 times: the same outputs every time.
    ...
"""

import numpy as np
import pandas as pd

from experiments.arms import HIDDEN
from experiments.harness.paired import compare_tables
from experiments.harness.runner import raise_if_diverged, run
from experiments.reporting.pages import dropout_modes_summary

PASSES = 1000
MONTE_CARLO_PASSES = 100


def main(argv=None):
    """Train the hidden arm and observe its dropout layers."""
    run("evaluation", __doc__, observe_modes, argv)


def observe_modes(this):
    """Cross-validate with and without Monte Carlo dropout, and observe one network."""
    pipeline = this.pipeline(HIDDEN)
    with this.progress(len(this.splits) + 1) as progress:
        scores = this.cross_validate(
            pipeline, dropout_passes=MONTE_CARLO_PASSES, progress=progress
        )
        (fitted,) = this.cross_validate(
            pipeline, this.splits[:1], n_jobs=1, return_estimator=True, progress=progress
        )["estimator"]
    raise_if_diverged(scores)

    held_out = this.data.X[this.splits[0][1]]
    rows = fitted[:-1].transform(held_out).astype("float32")
    observed, outputs = observe(fitted[-1].model_, rows)
    folds = pd.DataFrame(this.per_fold_columns(scores))
    averaged = folds.assign(accuracy=scores["dropout_score"], log_loss=scores["dropout_log_loss"])
    for score, scale in (("accuracy", 100), ("log_loss", 1)):
        difference = compare_tables(averaged, folds, score, scale)._asdict()
        observed[f"monte_carlo_{score}"] = averaged[score].mean()
        observed[f"evaluation_{score}"] = folds[score].mean()
        for key, value in difference.items():
            if not key.endswith("_p"):
                observed[f"monte_carlo_{score}_{key}"] = value

    folds["dropout_accuracy"] = averaged["accuracy"]
    folds["dropout_log_loss"] = averaged["log_loss"]
    table = pd.DataFrame({"observation": list(observed), "value": list(observed.values())})
    path = this.write(
        {"evaluation-folds": folds, "evaluation-outputs": outputs, "evaluation": table},
        settings=HIDDEN,
        passes=PASSES,
        monte_carlo_passes=MONTE_CARLO_PASSES,
    )
    for line in dropout_modes_summary(this.results):
        print(line)
    print(f"  written:   {path}")


def observe(network, rows):
    """Observe a trained network's outputs and dropout layers in both modes.

    Returns
    -------
    dict of str to float
    DataFrame
        One row per predicted row.
    """
    still = np.stack([network(rows, training=False).numpy()[:, 0] for _ in range(100)])
    repeated = np.repeat(rows, PASSES, axis=0)  # each row of a batch has its own mask
    noisy = network(repeated, training=True).numpy().reshape(len(rows), PASSES)

    first = next(number for number, layer in enumerate(network.layers) if is_dropout(layer))
    dropout, rate = network.layers[first], network.layers[first].rate
    ones = np.ones((PASSES, dropout.input.shape[-1]), np.float32)
    trained = dropout(ones, training=True).numpy()

    # The activations in front of the first dropout layer, passed through it both ways.
    activations = rows
    for layer in network.layers[:first]:
        activations = layer(activations).numpy()
    repeated = np.repeat(activations, PASSES, axis=0)
    by_keras = dropout(repeated, training=True).numpy()
    by_tutorial = repeated * (dropout(repeated, training=True).numpy() != 0)  # other masks
    size = activations.mean()

    outputs = pd.DataFrame(
        {
            "row": np.arange(1, len(rows) + 1),
            "evaluation": still[0],
            "mean": noisy.mean(axis=1),
            "low": np.quantile(noisy, 0.1, axis=1),
            "high": np.quantile(noisy, 0.9, axis=1),
        }
    )
    distance = np.abs(outputs["mean"] - outputs["evaluation"])
    return {
        "evaluation_largest_change": np.ptp(still, axis=0).max(),
        "training_standard_deviation": noisy.std(axis=1).mean(),
        "training_mean_less_evaluation_mean": distance.mean(),
        "training_mean_less_evaluation_largest": distance.max(),
        "rate": rate,
        "layer_training_dropped": np.mean(trained == 0),
        "layer_training_kept_value": trained.max(),
        "layer_training_mean": trained.mean(),
        "layer_evaluation_smallest": dropout(ones, training=False).numpy().min(),
        "layer_evaluation_largest": dropout(ones, training=False).numpy().max(),
        "keras_training_mean_to_evaluation": by_keras.mean() / size,
        "tutorial_training_mean_to_evaluation": by_tutorial.mean() / ((1 - rate) * size),
        "tutorial_output_largest_difference": np.abs(
            tutorial_outputs(network, rows) - still[0]
        ).max(),
    }, outputs


def tutorial_outputs(network, rows):
    """Predict the tutorial's way: dropout layers multiply by 1 − rate at evaluation.

    A network trained that way, without Keras' factor 1 / (1 − rate), has weights larger by that
    factor after each dropout layer; with these weights it is the same network.
    """
    outputs, factor = rows, 1.0
    for layer in network.layers:
        if is_dropout(layer):
            outputs, factor = outputs * (1 - layer.rate), factor / (1 - layer.rate)
        else:
            kernel, bias = layer.get_weights()
            outputs = layer.activation(outputs @ (kernel * factor) + bias).numpy()
            factor = 1.0
    return outputs[:, 0]


def is_dropout(layer):
    """Return whether a Keras layer is a Dropout layer."""
    return type(layer).__name__ == "Dropout"


if __name__ == "__main__":
    main()

"""Observe what a trained network's dropout layers do in training and at evaluation."""

import numpy as np
import pandas as pd

PASSES = 1000


def observe(network, rows):
    """Observe a trained network's outputs and dropout layers in both modes.

    Returns a dict of numbers, and the outputs as a table of one row per predicted row.
    """
    still = np.stack([network(rows, training=False).numpy()[:, 0] for _ in range(100)])
    repeated = np.repeat(rows, PASSES, axis=0)  # each row of a batch has its own mask
    noisy = network(repeated, training=True).numpy().reshape(len(rows), PASSES)

    first = next(number for number, layer in enumerate(network.layers) if is_dropout(layer))
    dropout, rate = network.layers[first], network.layers[first].rate
    ones = np.ones((PASSES, dropout.input.shape[-1]), np.float32)
    trained, evaluated = (dropout(ones, training=mode).numpy() for mode in (True, False))

    # The activations in front of the first dropout layer, passed through it both ways.
    activations = rows
    for layer in network.layers[:first]:
        activations = layer(activations).numpy()
    repeated = np.repeat(activations, PASSES, axis=0)
    by_keras = dropout(repeated, training=True).numpy()
    by_tutorial = repeated * (dropout(repeated, training=True).numpy() != 0)  # other masks
    size = activations.mean()
    by_hand = tutorial_outputs(network, rows)

    outputs = pd.DataFrame({"row": np.arange(1, len(rows) + 1), "evaluation": still[0]})
    outputs["mean"] = noisy.mean(axis=1)
    outputs["low"] = np.quantile(noisy, 0.1, axis=1)
    outputs["high"] = np.quantile(noisy, 0.9, axis=1)
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
        "layer_evaluation_smallest": evaluated.min(),
        "layer_evaluation_largest": evaluated.max(),
        "keras_training_mean_to_evaluation": by_keras.mean() / size,
        "tutorial_training_mean_to_evaluation": by_tutorial.mean() / ((1 - rate) * size),
        "tutorial_output_largest_difference": np.abs(by_hand - still[0]).max(),
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

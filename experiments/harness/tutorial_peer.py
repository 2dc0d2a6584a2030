"""Cross-validate the tutorial's own code, scikeras' classifier, for `make benchmark` to time."""

import os

import tensorflow as tf
from scikeras.wrappers import KerasClassifier

from experiments.foldstack.network import build_network
from experiments.harness.peers import SETTINGS, parse_options, time_cross_validation


def main():
    """Cross-validate scikeras' `KerasClassifier` with the baseline's settings."""
    options = parse_options()
    if options.jobs == 1:  # TensorFlow's own threads
        tf.config.threading.set_intra_op_parallelism_threads(os.cpu_count())
    settings = {f"model__{name}": value for name, value in SETTINGS.items()}
    classifier = KerasClassifier(
        build_network, epochs=options.epochs, batch_size=16, verbose=0, **settings
    )
    time_cross_validation(classifier, options)


if __name__ == "__main__":
    main()

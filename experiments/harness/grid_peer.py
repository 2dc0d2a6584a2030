"""Search a grid with scikit-learn over scikeras' classifier, for `make benchmark` to time."""

import tensorflow as tf  # noqa: F401  # first, as a user of scikeras would have it
from scikeras.wrappers import KerasClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from experiments.foldstack.network import build_network
from experiments.harness.peers import GRID, SETTINGS, parse_options, time_search


def main():
    """Search the grid with `GridSearchCV`."""
    options = parse_options()
    settings = {f"model__{name}": value for name, value in SETTINGS.items()}
    settings["model__hidden_dropout"] = 0.0
    network = KerasClassifier(
        build_network, epochs=options.epochs, batch_size=16, verbose=0, **settings
    )
    grid = {f"kerasclassifier__model__{name}": values for name, values in GRID.items()}
    pipeline = make_pipeline(StandardScaler(), network)
    time_search(GridSearchCV(pipeline, grid, n_jobs=options.jobs), options)


if __name__ == "__main__":
    main()

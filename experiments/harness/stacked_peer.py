"""Search the same grid with `StackedSearchCV`, for `make benchmark` to time."""

from experiments import foldstack
from experiments.harness.peers import GRID, parse_options, time_search


def main():
    """Search the grid in stacks."""
    options = parse_options()
    pipeline = foldstack.build_pipeline(epochs=options.epochs)
    grid = {f"mlp__model__{name}": values for name, values in GRID.items()}
    time_search(foldstack.StackedSearchCV(pipeline, grid, n_jobs=options.jobs), options)


if __name__ == "__main__":
    main()

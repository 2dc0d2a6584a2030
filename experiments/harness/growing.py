"""Tables of scores that grow: a run trains only what an earlier one has not."""

import contextlib
import sys
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from experiments.harness import store
from experiments.harness.errors import InputError
from experiments.harness.files import locked
from experiments.harness.provenance import is_committed

AT_ONCE = 1000  # networks trained between two savings
Network = tuple[int, int]  # repeat and seed, see `Run.networks`
SAME = {  # what makes two runs the same, but for their length: its key in the metadata
    "the training code": "code",
    "the settings": "settings",
    "the patience": "patience",
    "the share of rows set aside": "validation_split",
    "the dataset": "data",
    "the seed": "seed",
    "the number of folds": "folds",
    "the number of epochs": "epochs",
    "the engine": "engine",
    "the versions of the packages": "versions",
    "the kind of processor": "processor",
}


def grow(
    this,
    name: str,
    by: str,
    settings: Mapping[object, Mapping[str, object]],
    tabulate: Callable[[object, Mapping, list[Network]], pd.DataFrame],
    metadata: Mapping[str, object],
    *,
    networks: Mapping[object, list[Network]] | None = None,
    build: Callable[[Mapping], object] | None = None,
    kept: Callable[[pd.DataFrame], pd.DataFrame] = lambda table: table,
    curves: bool = False,
    **options: object,
) -> pd.DataFrame:
    """Cross-validate networks, as far as the folder of results lacks their scores.

    If an earlier run was the same (`SAME`) but shorter, only what it lacks is trained; if it was
    not shorter, all are trained again. What is finished is saved in a hidden table, from
    which an interrupted run continues; `unfinished` names its files.

    Parameters
    ----------
    this : Run
    name, by : str
        The table, and the column that tells its networks apart.
    settings : mapping
        The settings of each network, by its value in that column.
    tabulate : callable
        Turns (value, scores, networks) into rows of the table.
    metadata : mapping
        Those that the table will be written with.
    networks : mapping, optional
        The repeats and seeds of each value; by default all of the run.
    build : callable, optional
        Builds the pipeline of settings; by default `Run.pipeline`.
    kept : callable, optional
        Selects the rows of an earlier table that need not be trained again.
    curves : bool, default=False
        Whether to train the first seed of every split with learning curves, all at once.
    **options
        Of `Run.cross_validate`.

    Returns
    -------
    DataFrame
        All rows, sorted.
    """
    folds, keys = this.options.folds, list(store.TABLES[name].keys)
    networks, build = networks or dict.fromkeys(settings, this.networks), build or this.pipeline
    wanted = {(value, *network) for value in settings for network in networks[value]}

    def identify(table):
        columns = (table[column] for column in (by, "repeat", "seed"))
        return pd.Series(zip(*columns, strict=True), table.index, dtype=object)

    with locked(this.results):
        earlier, differences = _read(this.results, name, name, metadata)
        saved, others = _read(this.results, _part(name), name, metadata)
    lengths = len(earlier), folds * len(wanted)
    earlier = kept(earlier[:0] if differences else earlier)
    if wanted <= set(identify(earlier)):
        earlier = earlier[:0]
    saved = kept(saved[:0] if others else saved)
    rows = pd.concat([saved, earlier], ignore_index=True)
    rows = rows[identify(rows).isin(wanted)].drop_duplicates(keys)

    missing, blocks = wanted - set(identify(rows)), []
    at_once = max(1, AT_ONCE // folds)
    for value in settings:
        left = [network for network in networks[value] if (value, *network) in missing]
        first = [network for network in left if curves and network[1] == 1]
        left = left[len(first) :]
        blocks += [(value, first)] if first else []
        blocks += [(value, left[i : i + at_once]) for i in range(0, len(left), at_once)]
    size = {value: this.size(settings[value]) for value in settings}
    total = sum(size[value] * len(block) * folds for value, block in blocks)
    with this.training(total) as progress:
        _say_what_is_replaced(this, name, *lengths, differences)
        for number, (value, block) in enumerate(blocks, start=1):
            splits = this.split_numbers(block)
            seeds = np.repeat([seed - 1 for _, seed in block], folds)
            more = {"return_curves": True} if curves and block[0][1] == 1 else {}
            scores = this.cross_validate(
                build(settings[value]),
                [this.splits[i] for i in splits],
                seeds=[this.seeds[seed][i] for seed, i in zip(seeds, splits, strict=True)],
                progress=lambda done, value=value: progress(size[value] * done),
                **options | more,
            )
            rows = pd.concat([rows, tabulate(value, scores, block)])
            if number < len(blocks):
                store.write_part(this.results, _part(name), name, rows, metadata)
    return rows.infer_objects().sort_values(keys, ignore_index=True)


def unfinished(name: str) -> list[str]:
    """Return the files that `grow` saves in; they go when the table is written."""
    return [f"{_part(name)}.{suffix}" for suffix in ("csv", "json")]


def _part(name):
    return f".{name}-part"


def _read(folder, file, name, metadata):
    """Read an earlier table and in what its run differs; an empty one if there is none."""
    with contextlib.suppress(InputError):
        before = store.read_metadata(folder, file, name)
        table = store.read_table(folder, file, name)
        before["data"] = store.dataset_fingerprint(before)
        now = store.json_round_trip(metadata | {"data": store.dataset_fingerprint(metadata)})
        return table, [what for what, key in SAME.items() if before.get(key) != now.get(key)]
    return pd.DataFrame(columns=list(store.TABLES[name].columns)), []


def _say_what_is_replaced(this, name, before, now, differences):
    """Say on stderr that a longer table is replaced, or that one cannot be continued."""
    if before > now or (0 < before < now and differences):
        path = this.results / f"{name}.csv"
        line = f"{this.command}: replaces {path} of {before:,} networks"
        if differences:
            line += f", which differ in {', '.join(differences)}"
        if is_committed(path):
            line += f"; `git restore {this.results}` brings it back"
        print(line, file=sys.stderr)

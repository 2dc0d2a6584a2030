"""Tables of scores that grow: a run trains only what an earlier one has not."""

import contextlib
import sys
from collections.abc import Callable, Mapping

import pandas as pd

from experiments.harness import store
from experiments.harness.errors import InputError
from experiments.harness.files import locked
from experiments.harness.provenance import is_committed

AT_ONCE = 1000  # networks trained between two savings
SAME = {  # what makes two runs the same, but for their length: its key in the metadata
    "the training code": "code",
    "the settings": "settings",
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
    tabulate: Callable[[object, Mapping, list[int]], pd.DataFrame],
    metadata: Mapping[str, object],
    *,
    kept: Callable[[pd.DataFrame], pd.DataFrame] = lambda table: table,
    at_once: float | None = None,
    epochs: int | None = None,
    **options: object,
) -> pd.DataFrame:
    """Cross-validate networks, as far as the folder of results lacks their scores.

    If an earlier run was the same (`SAME`) but shorter, only the missing repeats are trained; if
    it was not shorter, all are trained again. What is finished is saved in a hidden table, from
    which an interrupted run continues; `unfinished` names its files.

    Parameters
    ----------
    this : Run
    name, by : str
        The table, and the column that tells its networks apart.
    settings : mapping
        The settings of each network, by its value in that column.
    tabulate : callable
        Turns (value, scores, repeats) into rows of the table.
    metadata : mapping
        Those that the table will be written with.
    kept : callable, optional
        Selects the rows of an earlier table that need not be trained again.
    at_once : float, optional
        Networks trained between two savings.
    epochs : int, optional
        By default those of the run's options.
    **options
        Of `Run.cross_validate`.

    Returns
    -------
    DataFrame
        All rows, sorted.
    """
    folds, keys = this.options.folds, list(store.TABLES[name].keys)
    repeats = range(1, len(this.splits) // folds + 1)
    wanted = {(value, repeat) for value in settings for repeat in repeats}

    def networks(table):
        return pd.Series(zip(table[by], table["repeat"], strict=True), table.index, dtype=object)

    with locked(this.results):
        earlier, differences = _read(this.results, name, name, metadata)
        saved, others = _read(this.results, _part(name), name, metadata)
    lengths = earlier["repeat"].nunique(), len(repeats)
    earlier = kept(earlier[:0] if differences else earlier)
    if wanted <= set(networks(earlier)):
        earlier = earlier[:0]
    rows = pd.concat([saved[:0] if others else saved, earlier], ignore_index=True)
    rows = rows[networks(rows).isin(wanted)].drop_duplicates(keys)

    missing, blocks = wanted - set(networks(rows)), []
    at_once = max(1, int(min(at_once or AT_ONCE, len(this.splits)) // folds))
    for value in settings:
        numbers = [repeat for repeat in repeats if (value, repeat) in missing]
        blocks += [(value, numbers[i : i + at_once]) for i in range(0, len(numbers), at_once)]
    size = {value: this.size(settings[value]) for value in settings}
    more = {"epochs": epochs} if epochs else {}
    total = sum(size[value] * len(block) * folds for value, block in blocks)
    with this.training(total) as progress:
        _say_what_is_replaced(this, name, *lengths, differences)
        for number, (value, block) in enumerate(blocks, start=1):
            splits = [(repeat - 1) * folds + fold for repeat in block for fold in range(folds)]
            scores = this.cross_validate(
                this.pipeline(settings[value], **more),
                [this.splits[i] for i in splits],
                seeds=[this.seeds[i] for i in splits],
                progress=lambda networks, value=value: progress(size[value] * networks),
                **options,
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
        line = f"{this.command}: replaces {path} of {before} repeats"
        if differences:
            line += f", which differ in {', '.join(differences)}"
        if is_committed(path):
            line += f"; `git restore {this.results}` brings it back"
        print(line, file=sys.stderr)

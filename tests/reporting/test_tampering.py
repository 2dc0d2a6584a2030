"""Whoever edits a table or its metadata is told so on one line, or nothing changes.

The cases follow from the schema, so that a new table is covered by itself.
"""

import contextlib
import io
import json
from argparse import Namespace

import pandas as pd
import pytest

from experiments import compare, figures, report, verify
from experiments.harness import cli, reruns, store
from experiments.harness.dataset import read_dataset
from experiments.harness.errors import InputError
from experiments.harness.runner import Run
from experiments.harness.schema import ARMS, SHAPES, TABLES
from experiments.harness.settings import REPEATABLE
from tests.conftest import SONAR
from tests.reporting.conftest import rewrite

CELLS = (None, "x\x1b[31m", True, 0.5, -7, 1e300)
VALUES = (None, True, 999, -1, 0.5, "x", [], {}, [1], {"a": None})
ROWS = 12  # of a table that is changed: what is wrong with a column is wrong in every row
COMMITTED = [name for name, table in TABLES.items() if table.committed]


def column_changes(table, columns):
    """Return changed tables by what was done to a column."""
    changed = {}
    for column in columns:
        changed[f"{column} is renamed"] = table.rename(columns={column: f"{column}_"})
        for cell in CELLS:
            changed[f"{column} is {cell!r}"] = table.assign(**{column: cell})
    return changed


def key_changes(metadata):
    """Return changed metadata by what was done to a key."""
    changed = {}
    for key in metadata.keys() - {store.CHECKSUM}:
        changed[f"without {key}"] = {k: v for k, v in metadata.items() if k != key}
        for value in VALUES if key in SHAPES else VALUES[:2]:
            changed[f"{key} is {value!r}"] = metadata | {key: value}
    return changed


def answer(function, *arguments):
    """Call a function; return the error that it reports, or None."""
    try:
        function(*arguments)
    except InputError as error:
        return str(error)
    return None


def refused(folder, name):
    """Return whether a table is refused, on one line."""
    said = answer(store.read_table, folder, name)
    assert said is None or (name in said and "\n" not in said)
    return said is not None


@pytest.mark.parametrize("name", COMMITTED)
def test_changed_columns_are_refused_unless_they_may_be_so(published, tmp_path, name):
    table, schema = store.read_table(published, name)[:ROWS], TABLES[name]
    metadata = (published / f"{name}.json").read_bytes()
    (tmp_path / f"{name}.json").write_bytes(metadata)
    rewrite(tmp_path, name, table)
    assert not refused(tmp_path, name)
    accepted = []
    for label, changed in column_changes(table, [c for c in schema.columns if c in table]).items():
        rewrite(tmp_path, name, changed)
        if not refused(tmp_path, name):
            accepted.append(label)
    for label in accepted:
        column, _, change = label.partition(" is ")
        kind = schema.kinds[column]
        assert change not in ("True", repr(CELLS[1])) or kind == "text"
        lost = kind == "loss" and schema.may_diverge
        assert change != "None" or lost or column in schema.optional
        assert change != "renamed" or column in schema.optional
        assert change != "-7" or kind == "number"
        assert change != "0.5" or kind not in ("text", "whole")


@pytest.fixture(scope="module")
def present(published):
    return verify.read_results(published)


@pytest.fixture
def verified(published, present, tmp_path, monkeypatch, capsys):
    """Let `make verify` use a table that was accepted, as far as the call of its command."""
    options = cli.parse("verify", "", [f"--data={SONAR}", f"--results={published}"])
    data, here = read_dataset(SONAR, folds=2), verify.provenance()
    monkeypatch.setattr(verify, "read_dataset", lambda *_, **__: data)
    monkeypatch.setattr(verify, "provenance", lambda: here)

    def check(folder, name):
        if (command := TABLES[name].command) not in REPEATABLE:
            return
        metadata = reruns.EARLIER.get(command, {}) | store.read_metadata(folder, name)
        changed = present | {name: (present[name][0], metadata)}
        if answer(verify.check_commands, [command], changed, options) is None:
            call = reruns.rerun_call(command, changed, options, tmp_path)
            with contextlib.suppress(SystemExit):  # which it says on one line
                cli.parse(command, "", call[3:])
        assert capsys.readouterr().err.count("\n") <= 1

    return check


@pytest.mark.parametrize("name", COMMITTED)
def test_changed_metadata_are_refused_unless_nothing_depends_on_them(
    published, tmp_path, verified, name
):
    table, path = store.read_table(published, name)[:ROWS], tmp_path / f"{name}.json"
    path.write_bytes((published / f"{name}.json").read_bytes())
    rewrite(tmp_path, name, table)
    for label, changed in key_changes(json.loads(path.read_text())).items():
        path.write_text(json.dumps(changed))
        key, missing = label.split()[-1 if label.startswith("without") else 0], "without" in label
        if missing:
            assert refused(tmp_path, name) == (key in TABLES[name].metadata), label
        elif not refused(tmp_path, name):
            assert key not in SHAPES or store._has_shape(changed[key], SHAPES[key]), label
            verified(tmp_path, name)


def accepted(folder, name):
    """Change a table, and then its metadata, in the folder; yield where that is not refused."""
    path = folder / f"{name}.json"
    table, metadata = store.read_table(folder, name), json.loads(path.read_text())
    columns = [column for column in TABLES[name].columns if column in table]
    for changed in column_changes(table, columns).values():
        rewrite(folder, name, changed)
        if not refused(folder, name):
            yield
    rewrite(folder, name, table)
    for changed in key_changes(metadata).values():
        path.write_text(json.dumps(changed | {store.CHECKSUM: store.checksum(folder, name)}))
        if not refused(folder, name):
            yield


def shorten(folder, names, select):
    for name in names:
        rewrite(folder, name, select(store.read_table(folder, name)))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hidden", "remedies"])
def test_arms_that_are_accepted_are_compared_or_refused(results, monkeypatch, name):
    shorten(results, [*ARMS, "remedies", "context"], lambda table: table[table["repeat"] <= 2])
    if name != "remedies":
        (results / "remedies.csv").unlink()
    context = store.read_table(results, "context")
    monkeypatch.setattr(compare, "score_references", lambda *_: context)
    monkeypatch.setattr(Run, "write", lambda *_, **__: results)
    this = Run("compare", cli.parse("compare", "", [f"--data={SONAR}", f"--results={results}"]))
    given = dict(vars(this.options))
    for _ in accepted(results, name):
        vars(this.options).update(given)
        if answer(compare.adopt_options, this) is None:
            answer(compare.write_comparison, this)


def several_at_once(table, schema):
    """Return tables that are sound by the schema, and unlike those that a command writes."""
    optional = [column for column in schema.optional if column in table]
    numbers = [column for column in table if schema.kinds.get(column) == "number"]
    return {
        "emptied": table.assign(**dict.fromkeys(optional)),
        "without columns": table.drop(columns=optional),
        "infinite": table.assign(**dict.fromkeys(numbers, float("inf"))),
        "one row": table[-1:],
    }


SHOWN = ["tips", "tips-comparison", "evaluation", "tuned", "tuning", "benchmark", "comparison"]
SHOWN += ["summary", "curves", "context", "evaluation-outputs", "validation", "benchmark-search"]
SEVERAL = [*((change, SHOWN) for change in ("emptied", "without columns", "infinite"))]
SEVERAL += [("one row", [name]) for name in ("comparison", "context", "tuned", "benchmark")]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of NumPy, about infinite numbers
@pytest.mark.parametrize(("change", "names"), SEVERAL)
def test_what_is_accepted_makes_a_page_and_figures_or_one_line(results, capsys, change, names):
    for name in names:
        table = store.read_table(results, name)
        rewrite(results, name, several_at_once(table, TABLES[name])[change])
    for command in (report.write_report, figures.draw_figures):
        assert "\n" not in (answer(command, Namespace(results=results)) or "")
    capsys.readouterr()


@pytest.mark.parametrize("changed", [{"keep": 9}, {"target": []}, {"drop_unlabelled": "yes"}])
def test_metadata_that_are_passed_on_are_checked(results, changed):
    data = store.read_metadata(results, "baseline")["data"]
    rewrite(results, "baseline", data=data | changed)
    with pytest.raises(InputError, match="its data cannot be"):
        verify.read_results(results)


@pytest.mark.parametrize("name", [name for name in COMMITTED if not TABLES[name].sources])
def test_a_rerun_is_compared_with_any_table_that_can_be_read(published, name):
    table, schema = store.read_table(published, name), TABLES[name]
    for changed in several_at_once(table, schema).values():
        changed = pd.read_csv(io.StringIO(changed.to_csv(index=False)))
        assert reruns.compare_rerun(name, changed, table, {})[0]


def test_an_arm_reads_tables_with_the_same_checks(results):
    curves = store.read_table(results, "curves")
    rewrite(results, "curves", curves.assign(epoch="first"))
    with pytest.raises(InputError, match="row 1 has epoch first"):
        store.check_other_arms(results, "hidden")
    hidden = store.read_table(results, "hidden")
    rewrite(results, "hidden", hidden.assign(experiment="visible"))
    with pytest.raises(InputError, match="row 1 has experiment visible"):
        store.check_other_arms(results, "baseline")
    rewrite(results, "hidden", pd.concat([hidden, hidden]))
    with pytest.raises(InputError, match="two rows have the same repeat, fold"):
        store.check_other_arms(results, "baseline")
    metadata = store.read_metadata(results, "tuned")
    rewrite(results, "tuned", best=len(metadata["candidates"]))
    with pytest.raises(InputError, match="its best is none of 30 candidates"):
        store.read_table(results, "tuned")
    rewrite(results, "tips", settings=[{}])
    with pytest.raises(InputError, match=r"tips.json has fewer settings than its setting says"):
        store.read_table(results, "tips")

"""Whatever a user gets wrong: one line that says so, exit 2, and nothing is written or lost."""

import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from experiments import baseline, compare, control, hidden, tune, visible
from experiments.harness import files
from tests.conftest import SONAR
from tests.scripts.commands import READERS, SCRIPTS

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras, when saving
ROWS = "0.1,0.2,R\n0.3,0.4,R\n0.5,0.6,R\n0.7,0.8,M\n0.9,1.0,M\n1.1,1.2,M\n"
TOY = ["--folds=2", "--epochs=1", "--jobs=1"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Results of earlier runs, and the files that bad options point to."""
    folder = tmp_path_factory.mktemp("made")
    results = [f"--results={folder / 'results'}", f"--data={SONAR}"]
    for script in (baseline, visible, hidden, control):
        script.main([*TOY, "--repeats=2", "--curves", *results])
    compare.main(results)
    tune.main([*TOY, "--inner-folds=2", "--candidates=1", *results])
    return folder


@pytest.fixture
def refused(made, tmp_path, capsys):
    """Run a command with bad input in a copy of the results, and look at all that it must do."""
    shutil.copytree(made / "results", tmp_path / "results")

    def check(command, *options, says):
        options = [option.format(here=tmp_path) for option in options]
        if not any(option.startswith("--results=") for option in options):
            options.append(f"--results={tmp_path / 'results'}")
        before = contents(tmp_path)
        with pytest.raises(SystemExit) as caught:
            SCRIPTS[command].main(options)
        printed = capsys.readouterr()
        assert caught.value.code == 2
        assert printed.err.startswith(f"{command}: ")
        assert printed.err.count("\n") == 1
        assert says in printed.err
        assert printed.out == ""
        assert contents(tmp_path) == before

    return check


def contents(folder):
    return {
        path: path.is_file() and path.read_bytes()
        for path in folder.rglob("*")
        if path.name != files.LOCK
    }


TABLES = {
    "empty": ("", "is empty"),
    "blank lines": ("\n \n\n", "is empty"),
    "binary": (b"\x89PNG\r\n\x1a\n\x00\xff", "is not a text file"),
    "a null byte": (ROWS.replace("0.4", "\0"), "line 2"),
    "a huge line": ("1" * 200_000 + ",2,R\n" + ROWS, "line 1: field larger than field limit"),
    "one column": ("R\nM\n", "one column; numbers and a class are needed"),
    "ragged": (ROWS.replace("0.4,", ""), "line 2: 2 columns, where line 1 has 3"),
    "a blank cell": (ROWS.replace("0.4", ""), "line 2, column 2: missing value ''"),
    "a question mark": (ROWS.replace("0.4", "?"), "line 2, column 2: missing value '?'"),
    "nan": (ROWS.replace("0.4", "nan"), "line 2, column 2: missing value 'nan'"),
    "inf": (ROWS.replace("0.4", "-inf"), "line 2, column 2: '-inf' is not a finite number"),
    "too large": (ROWS.replace("0.4", "1e400"), "'1e400' is not a finite number"),
    "decimal commas": (ROWS.replace(",", ";").replace(".", ","), "write 0.5, not 0,5"),
    "text": (ROWS.replace("0.4", "low"), "line 2, column 2: 'low' is not a number"),
    "hexadecimal": (ROWS.replace("0.4", "0x4"), "line 2, column 2: '0x4' is not a number"),
    "an open quote": (ROWS.replace("0.9", '"0.9'), "unexpected end of data"),
    "two columns of a name": ("a,a,c\n" + ROWS, "two columns are named 'a'"),
    "a header alone": ("a,b,c\n", "has a header and no rows"),
    "no class": (ROWS.replace(",M", ",", 1), "line 4: no class"),
    "one class": (ROWS.replace("M", "R"), "two classes are needed, 'column 3' has 1"),
    "three classes": (ROWS.replace("M", "Q", 1), "two classes are needed, 'column 3' has 3"),
    "numbers alone": ("1,2,3\n4,5,6\n7,8,9\n", "two classes are needed, 'column 3' has 3"),
    "a small class": ("1,2,R\n" * 8 + "3,4,M\n", "class 'M' has 1 rows, fewer than the 2 folds"),
}


@pytest.mark.parametrize("case", TABLES)
def test_bad_tables(refused, tmp_path, case):
    table, says = TABLES[case]
    path = tmp_path / "table.csv"
    path.write_bytes(table if isinstance(table, bytes) else table.encode())
    command = READERS[list(TABLES).index(case) % len(READERS)]
    folds = [] if command == "benchmark" else ["--folds=2"]
    refused(command, *folds, f"--data={path}", says=says)


@pytest.mark.parametrize("command", [*READERS, "predict"])
def test_a_table_that_is_not_there(refused, made, command):
    model = [f"--model={made / 'results' / 'tuned.keras'}"] if command == "predict" else []
    refused(
        command,
        "--data=nowhere.csv",
        *model,
        says="cannot read nowhere.csv: No such file or directory",
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_table_that_may_not_be_read(refused, tmp_path):
    (tmp_path / "table.csv").write_text(ROWS)
    (tmp_path / "table.csv").chmod(0)
    refused("baseline", "--data={here}/table.csv", says="Permission denied")


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="there is no such file")
@pytest.mark.parametrize("command", ["baseline", "tune"])
def test_a_table_whose_bytes_cannot_be_read(refused, command):
    refused(command, "--data=/proc/self/mem", says="cannot read /proc/self/mem: Input/output")


SONAR_IS = f"--data={SONAR}"
OPTIONS = [
    ("baseline", ["--data={here}"], "Is a directory"),
    ("baseline", ["--folds=1"], "`folds` must be a whole number of at least 2, got 1"),
    ("visible", ["--folds=0"], "`folds` must be a whole number of at least 2, got 0"),
    ("hidden", ["--folds=209", SONAR_IS], "97 rows, fewer than the 209 folds"),
    ("control", ["--repeats=0"], "`repeats` must be a whole number of at least 1, got 0"),
    ("remedies", ["--epochs=0"], "`epochs` must be a whole number from 1 to 2147483647, got 0"),
    ("tips", ["--epochs=-1"], "`epochs` must be a whole number from 1 to 2147483647, got -1"),
    ("evaluation", ["--seed=1.5"], "`seed` must be a whole number from 0 to 4294967295, got '1.5'"),
    ("tune", ["--seed=seven"], "`seed` must be a whole number from 0 to 4294967295, got 'seven'"),
    (
        "compare",
        ["--seed=4294967296"],
        "`seed` must be a whole number from 0 to 4294967295, got 4294967296",
    ),
    ("validate", ["--jobs=0"], "`jobs` must be a whole number of at least 1, got 0"),
    (
        "benchmark",
        ["--epochs=ten"],
        "`epochs` must be a whole number from 1 to 2147483647, got 'ten'",
    ),
    (
        "baseline",
        ["--engine=abacus"],
        "`engine` must be one of stacked, scikit-learn, got 'abacus'",
    ),
    ("baseline", ["--engine=scikit-learn", "--curves"], "--curves needs --engine stacked"),
    ("baseline", ["--engine=scikit-learn", "--scheduler=tcp://x:1"], "--scheduler needs"),
    (
        "baseline",
        ["--scheduler=nowhere", SONAR_IS],
        "`scheduler` must be like tcp://host:8786, got 'nowhere'",
    ),
    ("baseline", ["--repeat=3"], "unrecognized arguments: --repeat=3"),
    ("baseline", ["--repeats"], "argument --repeats: expected one argument"),
    ("visible", ["--target=" + "9" * 5000, SONAR_IS], "has no column"),
    ("visible", ["--results=", SONAR_IS], "results would be mixed up with the project's own"),
    ("visible", ["--data=/dev/zero"], "/dev/zero is not a file"),
    ("visible", ["--target=metal", SONAR_IS], "has no column 'metal'"),
    ("hidden", ["--target=62", SONAR_IS], "has no column '62': its 61 columns are"),
    ("baseline", [SONAR_IS, "--results={here}/results/baseline.csv"], "cannot write results to"),
    ("tips", [SONAR_IS, "--results={here}/results/baseline.csv/in"], "Not a directory"),
    ("tune", [SONAR_IS, "--results=/proc/nowhere"], "cannot write results to /proc/nowhere"),
    ("figures", ["--results={here}/nowhere"], "cannot open the folder"),
    ("report", ["--results={here}/nowhere"], "cannot open the folder"),
    ("report", ["--results={here}"], "has no tables to report on"),
    ("verify", ["--only=baseline,all"], "`only` must be one or more of baseline, visible"),
    ("verify", ["--only=tips"], "has nothing to re-run by tips"),
    ("verify", ["--only=compare"], "compare can be verified only together with the arms"),
    ("verify", ["--results={here}/nowhere"], "cannot open the folder"),
    ("validate", ["--part=half"], "`part` must be one of engines, search, all, got 'half'"),
    ("tune", ["--candidates=0"], "`candidates` must be a whole number of at least 1, got 0"),
    ("tune", ["--inner-folds=1"], "`inner-folds` must be a whole number of at least 2, got 1"),
    ("tune", ["--inner-folds=90", SONAR_IS], "too few for 90 inner folds in each of 10"),
    ("tune", ["--space=nowhere.toml"], "cannot read nowhere.toml"),
    ("predict", ["--model=nowhere.keras", SONAR_IS], "cannot read nowhere.keras"),
    ("predict", ["--model={here}", SONAR_IS], "Is a directory"),
    (
        "predict",
        ["--model={here}/results/tuned.keras", "--data={here}/results/baseline.csv"],
        "has 10 columns, the network was trained on 60",
    ),
    ("compare", [SONAR_IS, "--repeats=3"], "baseline.csv has repeats 2, not 3"),
    ("compare", [SONAR_IS, "--repeats=1", "--results={here}/new"], "needs at least 2 repeats"),
    ("tune", [SONAR_IS, "--space={here}/bad.toml", "--results={here}/new"], "cannot read"),
    (
        "predict",
        [
            SONAR_IS,
            "--model={here}/results/tuned.keras",
            "--results={here}/new/er",
            "--data={here}/results/baseline.csv",
        ],
        "the network was trained on 60",
    ),
]


@pytest.mark.parametrize(("command", "options", "says"), OPTIONS)
def test_bad_options(refused, command, options, says):
    refused(command, *options, says=says)


SPACES = [
    ("", "has no parameters"),
    ("a = ", "Invalid value"),
    ("\x00", "space.toml"),
    ("mlp__model__hidden_dropout = 0.2", "needs a list of values"),
    ("mlp__model__hidden_dropout = []", "needs a list of values"),
    ("mlp__model__hidden_dropout = {low = 0.1}", "needs a list of values"),
    ("mlp__model__hidden_dropout = {low = 0.5, high = 0.1}", "needs a list of values"),
    ("mlp__model__learning_rate = {low = 0, high = 1, log = true}", "needs a list of values"),
    ("mlp__model__droput = [0.2]", "mlp__model__droput = 0.2"),
    ("dropout = [0.2]", "dropout = 0.2"),
    ("mlp__model__hidden_dropout = [1.5]", "mlp__model__hidden_dropout = 1.5"),
    ("mlp__model__visible_dropout = [-0.5]", "mlp__model__visible_dropout = -0.5"),
    ("mlp__model__max_norm = ['three']", "mlp__model__max_norm = 'three'"),
    ("mlp__model__hidden_units = [[60, -3]]", "mlp__model__hidden_units = (60, -3)"),
    ("mlp__model__hidden_units = [60]", "mlp__model__hidden_units = 60"),
    ("mlp__model__momentum = [2.0]", "mlp__model__momentum = 2.0"),
    ("mlp__model__learning_rate = ['fast']", "mlp__model__learning_rate = 'fast'"),
    ("mlp__model__learning_rate = [nan]", "mlp__model__learning_rate = nan"),
    ("mlp__model__learning_rate = [0.0]", "mlp__model__learning_rate = 0.0"),
    ("mlp__model__max_norm = [-1]", "mlp__model__max_norm = -1"),
    ("mlp__epochs = [0]", "mlp__epochs = 0"),
    ("mlp__batch_size = ['all']", "mlp__batch_size = 'all'"),
    ("mlp__model__meta = [1]", "mlp__model__meta = 1"),
    ("mlp__batch_size = [1000000000000]", "mlp__batch_size = 1000000000000"),
    ("standardize__with_mean = ['maybe']", "standardize__with_mean = 'maybe'"),
    ("mlp__model__max_norm = {low = 1, high = 2, log = 'false'}", "needs a list of values"),
    ("mlp__model__momentum = " + "[" * 3000 + "]" * 3000, "space.toml: "),
    ("mlp__epochs = [" + "9" * 5000 + "]", "space.toml: "),
    ("mlp__optimizer = ['adam']", "mlp__optimizer = 'adam'"),
    ("mlp__model__hidden_units = [[]]\nmlp__random_state = [1, 2]", "mlp__random_state"),
    ("standardize = ['passthrough']", "standardize cannot be searched: it is a whole step"),
    ("standardize__copies = [true]", "standardize__copies = True"),
]


@pytest.mark.parametrize(("space", "says"), SPACES)
def test_bad_spaces(refused, tmp_path, space, says):
    (tmp_path / "space.toml").write_text(space)
    refused("tune", SONAR_IS, "--space={here}/space.toml", *TOY, "--inner-folds=2", says=says)


def cut(content):
    return content[: len(content) // 2]


def one_row_less(content):
    return content[: content.rindex(b"\n", 0, -1) + 1]


def without(key):
    return lambda content: json.dumps({k: v for k, v in json.loads(content).items() if k != key})


def with_changed(key, value):
    return lambda content: json.dumps(json.loads(content) | {key: value})


def of_other_data(content):
    data = json.loads(content)["data"] | {"sha256": "0"}
    return json.dumps(json.loads(content) | {"data": data})


BROKEN = [
    ("compare", "baseline.csv", cut, "baseline.csv"),
    ("compare", "visible.csv", one_row_less, "is not the table that visible.json describes"),
    ("compare", "hidden.csv", lambda _: b"", "hidden.csv: No columns"),
    ("compare", "hidden.csv", lambda _: b"\xff\xfe\x00", "hidden.csv"),
    ("compare", "control.csv", lambda _: b"a,b\n1,2\n", "has no column 'experiment'"),
    ("compare", "control.json", cut, "control.json"),
    ("compare", "control.json", lambda _: b"{}", "it is not the metadata of a table"),
    ("compare", "control.json", None, "control.json: No such file"),
    ("hidden", "visible.csv", one_row_less, "is not the table that visible.json describes"),
    ("baseline", "hidden.csv", lambda c: c.replace(b"0.", b"2.", 9), "hidden.csv"),
    ("compare", "hidden.csv", lambda c: c.replace(b"0.", b"high", 9), "has accuracy"),
    ("hidden", "curves.csv", one_row_less, "is not the table that curves.json describes"),
    ("report", "baseline.csv", one_row_less, "was computed from another baseline.csv"),
    (
        "report",
        "tuned.json",
        without("candidates"),
        "tuned.json: it does not have the key 'candidates'",
    ),
    ("report", "tuned.json", of_other_data, "are of different datasets"),
    ("report", "README.md", lambda _: b"mine", "README.md is not a generated page"),
    ("compare", "hidden.json", without("versions"), "it does not have the key 'versions'"),
    ("figures", "hidden.json", with_changed("data", "sonar"), "its data cannot be 'sonar'"),
    ("hidden", "visible.json", with_changed("data", {}), "it does not identify its dataset"),
    ("verify", "control.json", lambda _: b"[" * 100_000, "control.json"),
    ("report", "comparison.csv", one_row_less, "is not the table that comparison.json describes"),
    ("report", "comparison.json", cut, "comparison.json"),
    ("report", "summary.csv", one_row_less, "is not the table that summary.json describes"),
    ("report", "tuned.csv", cut, "tuned.csv"),
    ("report", "context.csv", lambda _: b"a\n1\n", "context.csv: it has no column 'experiment'"),
    ("figures", "hidden.csv", cut, "hidden.csv"),
    ("verify", "tuned.csv", one_row_less, "is not the table that tuned.json describes"),
    ("verify", "visible.json", cut, "visible.json"),
    ("figures", "curves.csv", cut, "curves.csv"),
    ("figures", "tuning.csv", one_row_less, "is not the table that tuning.json describes"),
    ("tips", "tips-folds.csv", lambda _: b"a\n1\n", "tips-folds"),
    ("predict", "tuned.keras", cut, "is not a model saved by `make tune`, or is corrupt"),
    ("predict", "tuned.keras", lambda _: b"", "is not a model saved by `make tune`, or is corrupt"),
    ("predict", "tuned.keras", lambda _: SONAR.read_bytes(), "is not a model saved by `make tune`"),
]


@pytest.mark.parametrize(("command", "name", "change", "says"), BROKEN)
def test_broken_results(refused, tmp_path, command, name, change, says):
    path = tmp_path / "results" / name
    if name == "tips-folds.csv":
        path.with_suffix(".json").write_text('{"seed": 7}')
    before = path.read_bytes() if path.exists() else b""
    if change is None:
        path.unlink()
    else:
        content = change(before)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    options = {
        "compare": [SONAR_IS],
        "hidden": [SONAR_IS, *TOY],
        "baseline": [SONAR_IS, *TOY],
        "tips": [SONAR_IS, *TOY],
        "predict": [SONAR_IS, f"--model={path}"],
    }
    refused(command, *options.get(command, []), says=says)


@pytest.mark.parametrize(
    "labels",
    [
        "[]",
        '{"classes": ["a"], "features": ["x"]}',
        '{"classes": ["a", "a"], "features": ["x"]}',
        '{"classes": ["a", "b"], "features": []}',
        '{"classes": ["a", "b"], "features": [null]}',
        '{"classes": [["a"], "b"], "features": ["x"]}',
        '{"classes": ["a", "b"], "features": ["x"]}',
        "[" * 100_000,
    ],
)
def test_a_network_whose_labels_are_wrong(refused, made, tmp_path, labels):
    with (
        zipfile.ZipFile(made / "results" / "tuned.keras") as whole,
        zipfile.ZipFile(tmp_path / "broken.keras", "w") as broken,
    ):
        for name in whole.namelist():
            content = labels if name == "labels.json" else whole.read(name)
            broken.writestr(name, content)
    (tmp_path / "rows.csv").write_text("1\n")
    refused(
        "predict",
        "--data={here}/rows.csv",
        "--model={here}/broken.keras",
        says="is not a model saved by `make tune`, or is corrupt",
    )


def test_a_network_whose_weights_are_broken(refused, made, tmp_path):
    """The archive and the labels are whole; what Keras reads of it is not."""
    with (
        zipfile.ZipFile(made / "results" / "tuned.keras") as whole,
        zipfile.ZipFile(tmp_path / "broken.keras", "w") as broken,
    ):
        for name in whole.namelist():
            content = whole.read(name)
            broken.writestr(name, cut(content) if name.endswith(".h5") else content)
    (tmp_path / "rows.csv").write_text(",".join(["1"] * 60) + "\n")
    refused(
        "predict",
        "--data={here}/rows.csv",
        "--model={here}/broken.keras",
        says="is not a model saved by `make tune`, or is corrupt",
    )


@pytest.mark.parametrize(
    ("command", "says"),
    [("compare", "were not computed from"), ("verify", "was computed from another dataset than")],
)
def test_tables_of_other_data_are_not_compared(refused, tmp_path, command, says):
    changed = SONAR.read_text().replace("0.0200", "0.0201", 1)
    (tmp_path / "other.csv").write_text(changed)
    refused(command, "--data={here}/other.csv", says=says)


@pytest.mark.parametrize("command", ["baseline", "tune"])
def test_a_full_disk(refused, monkeypatch, command):
    def full(_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("experiments.harness.files.os.fsync", full)
    more = ["--inner-folds=2", "--candidates=1"] if command == "tune" else ["--repeats=1"]
    refused(command, SONAR_IS, *TOY, *more, says="No space left on device")


def test_what_is_harmless_is_no_mistake(tmp_path):
    """All of it at once: byte-order mark, CRLF, spaces, blank lines, a constant column."""
    generator = np.random.default_rng(0)
    rows = [f" {x:.3f} , 5 , {'yes ' if x > 0 else ' no'}\r\n" for x in generator.normal(size=40)]
    table = tmp_path / "table.csv"
    table.write_bytes(("\ufeffsize, fixed, bought\r\n" + "\r\n".join(rows) + "\r\n\r\n").encode())
    baseline.main([*TOY, "--repeats=1", f"--data={table}", f"--results={tmp_path}"])
    assert (tmp_path / "baseline.csv").exists()

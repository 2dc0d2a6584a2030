"""User errors are reported on one line with exit status 2; no file is written or lost."""

import contextlib
import json
import os
import shutil
import zipfile
from pathlib import Path

import pytest

from experiments.harness.runner import Run
from experiments.harness.schema import ARMS
from tests.commands import READERS, SCRIPTS, run_and_fail
from tests.conftest import SONAR, contents

SONAR_IS = f"--data={SONAR}"
CORRUPT = "is not a model saved by `make tune`, or is corrupt"


@pytest.mark.parametrize("command", READERS)
def test_bad_tables(refused, made, tmp_path, command):
    """test_dataset.py has all that can be wrong with a table."""
    (tmp_path / "table.csv").write_text("")
    model = [f"--model={made / 'tuned.keras'}"] if command == "predict" else []
    refused(command, "--data={here}/table.csv", *model, says="table.csv is empty")
    refused(command, "--data=nowhere.csv", *model, says="cannot read nowhere.csv: No such file")


@pytest.mark.parametrize("command", SCRIPTS)
def test_unknown_options(refused, command):
    refused(command, "--repeat=3", says="unrecognized arguments: --repeat=3; see --help")


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="these files are Linux'")
@pytest.mark.parametrize(
    ("command", "option", "says"),
    [
        ("visible", "--data=/dev/zero", "/dev/zero is not a file"),
        ("baseline", "--data=/proc/self/mem", "cannot read /proc/self/mem: Input/output"),
        ("tune", "--data=/proc/self/mem", "cannot read /proc/self/mem: Input/output"),
        ("tune", "--results=/proc/nowhere", "cannot write results to /proc/nowhere"),
    ],
)
def test_files_that_cannot_be_used(refused, command, option, says):
    refused(command, SONAR_IS, option, says=says)


MODEL = ["--model={here}/results/tuned.keras"]
WRONG_TABLE = [*MODEL, "--data={here}/results/baseline.csv"]
# test_settings.py has all that can be wrong with a single option.
OPTIONS = [
    ("baseline", ["--data={here}"], "Is a directory"),
    ("hidden", ["--folds=209", SONAR_IS], "97 rows, fewer than the 209 folds"),
    ("baseline", ["--engine=scikit-learn", "--curves"], "--curves needs --engine stacked"),
    ("baseline", ["--engine=scikit-learn", "--scheduler=tcp://x:1"], "--scheduler needs"),
    ("visible", ["--results=.", SONAR_IS], "results would be mixed up with the project's own"),
    ("visible", ["--target=metal", SONAR_IS], "has no column 'metal'"),
    ("hidden", ["--target=62", SONAR_IS], "has no column '62': its 61 columns are"),
    ("baseline", [SONAR_IS, "--results={here}/results/baseline.csv"], "cannot write results to"),
    ("tips", [SONAR_IS, "--results={here}/results/baseline.csv/in"], "Not a directory"),
    ("figures", ["--results={here}/nowhere"], "cannot open the folder"),
    ("report", ["--results={here}/nowhere"], "cannot open the folder"),
    ("report", ["--results={here}"], "has no tables to report on"),
    ("verify", ["--results={here}/nowhere"], "cannot open the folder"),
    ("verify", ["--only=tips"], "has nothing to re-run by tips"),
    ("verify", ["--only=compare"], "compare can be verified only together with the arms"),
    ("tune", ["--inner-folds=90", SONAR_IS], "too few for 90 inner folds in each of 10"),
    ("tune", ["--minutes=1", "--epochs=9999999", SONAR_IS], "must be at least"),
    ("tune", ["--space=nowhere.toml"], "cannot read nowhere.toml"),
    ("predict", ["--model=nowhere.keras", SONAR_IS], "cannot read nowhere.keras"),
    ("predict", ["--model={here}", SONAR_IS], "Is a directory"),
    ("predict", WRONG_TABLE, "has 11 columns, the network was trained on 60"),
    ("predict", [*WRONG_TABLE, "--results={here}/new/er"], "has 11 columns, the network was"),
    ("baseline", ["--scheduler=nowhere", SONAR_IS], "like tcp://host:8786, got 'nowhere'"),
    ("baseline", ["--scheduler=tcp://:8786", SONAR_IS], "like tcp://host:8786, got 'tcp://:8786'"),
    ("baseline", ["--scheduler=nowhere://x", SONAR_IS], "like tcp://host:8786, got 'nowhere://x'"),
    ("baseline", [SONAR_IS, "--epochs=2147483648"], "must be a whole number from 1 to"),
    ("baseline", [SONAR_IS, "--results={here}/" + "x" * 300], "File name too long"),
    ("figures", ["--results={here}/" + "x" * 300], "File name too long"),
    ("verify", ["--results={here}/" + "x/" * 3000], "File name too long"),
    ("predict", ["--model={here}/" + "x" * 300, SONAR_IS], "File name too long"),
    ("tune", ["--space={here}/" + "x" * 300, SONAR_IS], "File name too long"),
    ("tune", ["--space={here}", SONAR_IS], "Is a directory"),
    ("hidden", ["--target=\x1b[31m", SONAR_IS], "\\x1b[31m"),
    ("visible", ["--results=data/new", SONAR_IS], "mixed up with the project's own"),
    ("tune", ["--results=experiments", SONAR_IS], "mixed up with the project's own"),
    ("predict", ["--data={here}/results/tuned.csv", *MODEL], "has 18 columns"),
    ("compare", [SONAR_IS, "--repeats=3"], "baseline.csv has repeats 2, not 3"),
    ("compare", [SONAR_IS, "--repeats=1", "--results={here}/new"], "needs at least 2 repeats"),
    ("tips", [SONAR_IS, "--repeats=1"], "needs at least 2 repeats"),
    ("validate", [SONAR_IS, "--part=null", "--repeats=1"], "needs at least 2 repeats"),
    ("validate", ["--part=answers"], "at least 10 repeats and 2 seeds, got 2 and 1"),
]


@pytest.mark.parametrize(("command", "options", "says"), OPTIONS)
def test_bad_options(refused, command, options, says):
    refused(command, *options, says=says)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name are POSIX'")
@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("predict", "results/tuned.keras"),
        ("tune", "results/space.toml"),
        ("report", "results/README.md"),
        ("report", "results/summary.csv"),
        ("figures", "results/curves.json"),
        ("figures", "results/context.csv"),
        ("baseline", "results/baseline.csv"),
        ("baseline", "results/visible.json"),
        ("tune", "results/tuned.keras"),
        ("tune", "results/report.html"),
    ],
)
def test_pipes_are_not_waited_for(refused, tmp_path, command, name):
    (tmp_path / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / name)
    options = [SONAR_IS] if command in READERS else []
    options += [f"--model={tmp_path / name}"] if command == "predict" else []
    options += [f"--space={tmp_path / name}"] if name.endswith("toml") else []
    refused(command, *options, says=Path(name).name)


# test_network.py has the bounds of the settings.
SPACES = [
    ("", "has no parameters"),
    ("a = ", "Invalid value"),
    ("mlp__model__hidden_dropout = 0.2", "needs a list of values"),
    ("mlp__model__hidden_dropout = {low = 0.1}", "needs a list of values"),
    ("mlp__model__hidden_dropout = {low = 0.5, high = 0.1}", "needs a list of values"),
    ("mlp__model__learning_rate = {low = 0, high = 1, log = true}", "needs a list of values"),
    ("mlp__model__max_norm = {low = 1, high = 2, log = 'false'}", "needs a list of values"),
    ("mlp__model__learning_rate = {low = -inf, high = 1}", "needs a list of values"),
    ("mlp__model__learning_rate = {low = 0, high = inf}", "needs a list of values"),
    ("mlp__model__learning_rate = {low = nan, high = 1}", "needs a list of values"),
    ("mlp__model__learning_rate = {low = -1e308, high = 1e308}", "needs a list of values"),
    ("mlp__model__learning_rate = {low = true, high = 2}", "needs a list of values"),
    ("mlp__model__learning_rate = {low = 1979-05-27, high = 2}", "needs a list of values"),
    ("mlp__model__learning_rate = [nan]", "needs a list of values"),
    ("mlp__model__learning_rate = [0.1, inf]", "needs a list of values"),
    ("mlp__epochs = {low = 1, high = 100000000000000000000}", "needs a list of values"),
    ("mlp__epochs = {low = 1.2, high = 1.8}", "mlp__epochs = 1."),
    ("mlp__batch_size = {low = 8.1, high = 8.9}", "mlp__batch_size = 8."),
    ("mlp__batch_size = {low = -9, high = -5}", "mlp__batch_size = -"),
    ("mlp__model__momentum = {low = 2, high = 3}", "mlp__model__momentum = "),
    ("mlp__model__hidden_units = {low = 2, high = 3}", "mlp__model__hidden_units = "),
    ("mlp__model__max_norm = {low = -3, high = -2}", "mlp__model__max_norm = -"),
    ("mlp__model__droput = [0.2]", "mlp__model__droput = 0.2"),
    ("mlp__model__droput = [0.2]", "mlp__model__max_norm, mlp__model__momentum, "),
    ("mlp__model__hidden_units = {low = 8, high = 60}", "mlp__model__hidden_units = "),
    ("mlp__model__hidden_dropout = [1.5]", "mlp__model__hidden_dropout = 1.5"),
    ("mlp__model__hidden_units = [[60, -3]]", "mlp__model__hidden_units = (60, -3)"),
    ("mlp__model__hidden_units = [60]", "mlp__model__hidden_units = 60"),
    ("mlp__epochs = [0]", "mlp__epochs = 0"),
    ("mlp__epochs = [" + "9" * 5000 + "]", "space.toml: "),
    ("\x1b[31m = [1]", "space.toml: "),
    ("mlp__batch_size = ['all']", "mlp__batch_size = 'all'"),
    ("mlp__batch_size = [1000000000000]", "mlp__batch_size = 1000000000000"),
    ("mlp__model__meta = [1]", "mlp__model__meta = 1"),
    ("mlp__model__momentum = " + "[" * 3000 + "]" * 3000, "space.toml: "),
    ("mlp__optimizer = ['adam']", "mlp__optimizer = 'adam'"),
    ("mlp__model__hidden_units = [[]]\nmlp__random_state = [1, 2]", "mlp__random_state"),
    ("standardize = ['passthrough']", "standardize cannot be searched: it is a whole step"),
    ("standardize__with_mean = ['maybe']", "standardize__with_mean = 'maybe'"),
]


@pytest.mark.parametrize(("space", "says"), SPACES)
def test_bad_spaces(refused, tmp_path, space, says):
    (tmp_path / "space.toml").write_text(space)
    refused("tune", SONAR_IS, "--space={here}/space.toml", "--folds=2", says=says)


def cut(content):
    return content[: len(content) // 2]


def without_last_row(content):
    return content[: content.rindex(b"\n", 0, -1) + 1]


def with_changed(**changes):
    """Return a function that changes keys of metadata, or removes those changed to None."""

    def change(content):
        metadata = json.loads(content) | changes
        return json.dumps({k: v for k, v in metadata.items() if v is not None}).encode()

    return change


OTHER_DATA = {"file": "other.csv", "rows": 9, "sha256": "0"}
BROKEN = [
    ("compare", "visible.csv", without_last_row, "is not the table that visible.json describes"),
    ("compare", "hidden.csv", b"", "hidden.csv: No columns"),
    ("compare", "hidden.csv", lambda c: c.partition(b"\n")[0], "hidden.csv: it has no rows"),
    ("compare", "hidden.csv", b"\xff\xfe\x00", "hidden.csv"),
    ("compare", "hidden.csv", lambda c: c.replace(b"0.", b"high", 9), "has accuracy"),
    ("compare", "hidden.json", with_changed(versions=None), "not have the key 'versions'"),
    ("compare", "control.csv", b"a,b\n1,2\n", "has no column 'experiment'"),
    ("compare", "control.json", b"{}", "it is not the metadata of a table"),
    ("compare", "control.json", None, "control.json: No such file"),
    ("hidden", "visible.csv", without_last_row, "is not the table that visible.json describes"),
    ("hidden", "visible.json", b"{", "visible.json"),
    ("hidden", "visible.json", None, "visible.json: No such file"),
    ("hidden", "visible.json", with_changed(data={}), "its data cannot be {}"),
    ("hidden", "curves.csv", without_last_row, "curves.csv was not written by this project"),
    ("baseline", "hidden.csv", lambda c: c.replace(b"0.", b"2.", 9), "hidden.csv"),
    ("baseline", "hidden.csv", b"experiment\nhidden\n", "remove it, and run its command again"),
    ("report", "README.md", b"mine", "README.md was not written by this project"),
    ("report", "baseline.csv", without_last_row, "was computed from another baseline.csv"),
    ("report", "comparison.json", cut, "comparison.json"),
    ("report", "summary.csv", without_last_row, "is not the table that summary.json describes"),
    ("report", "context.csv", b"a\n1\n", "context.csv: it has no column 'experiment'"),
    ("report", "tuned.csv", cut, "tuned.csv"),
    ("report", "tuned.json", with_changed(candidates=None), "not have the key 'candidates'"),
    ("report", "tuned.json", with_changed(data=OTHER_DATA), "are of different datasets"),
    ("figures", "hidden.csv", cut, "hidden.csv"),
    ("figures", "hidden.json", with_changed(data="sonar"), "its data cannot be 'sonar'"),
    ("figures", "tuning.csv", without_last_row, "is not the table that tuning.json describes"),
    ("verify", "control.json", b"[" * 100_000, "control.json"),
    ("verify", "tuned.csv", without_last_row, "is not the table that tuned.json describes"),
    ("predict", "tuned.keras", cut, CORRUPT),
    ("predict", "tuned.keras", b"", CORRUPT),
    ("predict", "tuned.keras", SONAR.read_bytes(), CORRUPT),
]


@pytest.mark.parametrize("number", range(len(BROKEN)))
def test_broken_results(refused, tmp_path, monkeypatch, number):
    """They are found before the training."""
    command, name, change, says = BROKEN[number]
    path = tmp_path / "results" / name
    if name == "tips-folds.csv":
        path.with_suffix(".json").write_text('{"seed": 7}')
    if change is None:
        path.unlink()
    else:
        path.write_bytes(change(path.read_bytes()) if callable(change) else change)
    monkeypatch.setattr(Run, "cross_validate", None)
    options = [SONAR_IS] if command in (*ARMS, "compare", "tips", "predict") else []
    options += [f"--model={path}"] if command == "predict" else []
    refused(command, *options, says=says)


LABELS = [
    "[]",
    '{"classes": ["a"], "features": ["x"]}',
    '{"classes": ["a", "a"], "features": ["x"]}',
    '{"classes": ["a", "b"], "features": []}',
    '{"classes": ["a", "b"], "features": [null]}',
    '{"classes": [["a"], "b"], "features": ["x"]}',
    '{"classes": ["a", "b"], "features": ["x"]}',
    '{"number": null, "features": ["x"]}',
    '{"number": "price", "features": ["x"]}',
    "[" * 100_000,
    None,  # the labels are whole, the weights are not
]


@pytest.mark.parametrize("number", range(len(LABELS)))
def test_broken_networks(refused, made, tmp_path, number):
    labels = LABELS[number]
    with (
        zipfile.ZipFile(made / "tuned.keras") as whole,
        zipfile.ZipFile(tmp_path / "broken.keras", "w") as broken,
    ):
        for name in whole.namelist():
            content = whole.read(name)
            if labels is None:
                broken.writestr(name, cut(content) if name.endswith(".h5") else content)
            else:
                broken.writestr(name, labels if name == "labels.json" else content)
    (tmp_path / "rows.csv").write_text(",".join(["1"] * (1 if labels else 60)) + "\n")
    refused("predict", "--data={here}/rows.csv", "--model={here}/broken.keras", says=CORRUPT)


def place_of_labels(content):
    """Return where the last member of an archive, the labels, stands in its directory."""
    return content.rindex(b"PK\x01\x02")


CRAFTED = {  # a field of the directory, and what is put there
    "encrypted": (8, b"\x01\x00"),
    "by an unknown compression": (10, b"\x63\x00"),
    "not what its checksum says": (16, b"\x00\x00\x00\x00"),
    "too large": (24, b"\x00\x00\x00\x7f"),
    "elsewhere": (42, b"\x00\x00\x00\x7f"),
}


@pytest.mark.parametrize("field", CRAFTED.values(), ids=CRAFTED)
def test_crafted_archives(refused, tmp_path, field):
    """Whatever is wrong is found before TensorFlow is imported."""
    path = tmp_path / "results" / "tuned.keras"
    content = path.read_bytes()
    start = place_of_labels(content) + field[0]
    path.write_bytes(content[:start] + field[1] + content[start + len(field[1]) :])
    refused("predict", SONAR_IS, f"--model={path}", says=CORRUPT)


@pytest.mark.parametrize("label", ["\\ud800", "\\u001b[31m", "a\\nb"])
def test_labels_that_cannot_be_shown(made, tmp_path, capsys, label):
    """Half a character is refused; control characters are in the table, not on the terminal."""
    model = tmp_path / "model.keras"
    with zipfile.ZipFile(made / "tuned.keras") as whole, zipfile.ZipFile(model, "w") as other:
        for name in whole.namelist():
            content = whole.read(name)
            if name == "labels.json":
                content = content.replace(b'"R"', f'"{label}"'.encode())
            other.writestr(name, content)
    with contextlib.suppress(SystemExit):
        SCRIPTS["predict"].main([SONAR_IS, f"--model={model}", f"--results={tmp_path / 'new'}"])
    out, err = capsys.readouterr()
    assert (CORRUPT in err) == ("ud800" in label) == (not out)
    assert "\x1b" not in out + err
    assert out.count("\n") in (0, 2)


@pytest.mark.parametrize(
    ("command", "says"),
    [("compare", "were not computed from"), ("verify", "was computed from another dataset than")],
)
def test_tables_of_other_data_are_not_compared(refused, tmp_path, command, says):
    (tmp_path / "other.csv").write_text(SONAR.read_text().replace("0.0200", "0.0201", 1))
    refused(command, "--data={here}/other.csv", says=says)


@pytest.mark.parametrize("command", ["baseline", "tune"])
def test_a_full_disk(made, tmp_path, capsys, monkeypatch, command):
    def full(_):
        raise OSError(28, "No space left on device")

    folder = shutil.copytree(made, tmp_path / "results")
    monkeypatch.setattr("experiments.harness.files.os.fsync", full)
    _, error = run_and_fail(capsys, command, folder)
    assert error == f"{command}: cannot write results to {folder}: No space left on device\n"
    assert contents(folder) == contents(made)

"""More bad input, as by accident or on purpose: one line, exit status 2, nothing written or lost.

test_bad_input.py has what people are likely to get wrong.
"""

import gzip
import io
import itertools
import json
import re
import zipfile

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from experiments.harness.runner import Run
from experiments.harness.settings import COMMANDS, OPTIONS
from tests.commands import READERS, SCRIPTS
from tests.conftest import POSIX_ONLY, SONAR

CORRUPT = "is not a model saved by `make tune`, or is corrupt"
WRONG = {  # by what an option takes
    "N": ["", " ", "x", "1.5", "-1", "1e3", "0x1F", "nan", "½", "1,000", "\x1b[31m", "9" * 5000],
    "NAME": ["", "x", "STACKED", "all,all", "\x1b[2J"],
    "NAME,NAME": ["", ",", "x", "tune;tips", "\x1b[2J"],
}


@pytest.mark.parametrize("command", SCRIPTS)
def test_every_option_of_every_command(refused, command):
    for option in (OPTIONS[name] for name in COMMANDS[command].options):
        for value in WRONG.get(option.type and option.type.metavar, ()):
            refused(command, f"{option.flag}={value}", says=f"`{option.flag[2:]}` must be ")
        if option.type is None:
            refused(command, f"{option.flag}=yes", says="ignored explicit argument")
    for unknown in ("x", "--x\x1b[31m", "--result=x", "-r", "@x", "--help=x"):
        refused(command, unknown, says="; see --help")


# A command, its options, and what it answers; {here} is the folder that has the results.
OPTION_CASES = """
baseline    --keep=nowhere                      has no column 'nowhere'
visible     --drop=0                            has no column '0': its 61 columns
hidden      --drop=1,2,62                       has no column '62'
control     --target=1.5                        has no column '1.5'
remedies    --target=-1                         has no column '-1'
tips        --target=column                     has no column 'column'
evaluation  --target=                           has no column ''
compare     --target=1                          cannot be the class
remedies    --folds=98                          97 rows, fewer than the 98 folds
evaluation  --folds=10000                       fewer than the 10000 folds
tune        --folds=98                          fewer than the 98 folds
tune        --task=regression                   is not a number
tune        --scoring=r2                        must be among accuracy
tune        --task=regression --scoring=f1      is not a number
tune        --inner-folds=10000                 too few for 10000 inner folds
tune        --minutes=1 --candidates=10000      `minutes` must be at least
tune        --space=                            must be a path
tune        --space={here}/loop                 Too many levels of symbolic links
tune        --data={here}/loop                  Too many levels of symbolic links
predict     --model={here}/loop                 Too many levels of symbolic links
predict     --model=                            must be a path
predict     --model={here}/results/tuned.csv    is not a model saved by
predict     --model={here}/results/report.html  is not a model saved by
predict     --model=\udcff                      \\udcff
baseline    --data=\udcff                       \\udcff
control     --data={here}/results/baseline.csv/x   Not a directory
visible     --data={here}/results/report.html   report.html
hidden      --data={here}/results/baseline.json    baseline.json
baseline    --results={here}/loop/x             Too many levels of symbolic links
figures     --results={here}/loop               cannot open the folder
figures     --results={here}/results/baseline.csv   cannot open the folder
report      --results={here}/results/baseline.csv   cannot open the folder
verify      --results={here}/results/baseline.csv   cannot open the folder
verify      --only=figures                      must be one or more of
verify      --data={here}/results/baseline.csv  baseline.csv
verify      --data=nowhere                      cannot read nowhere
compare     --folds=3                           baseline.csv has folds 2, not 3
compare     --seed=8                            baseline.csv has seed 7, not 8
compare     --epochs=5                          baseline.csv has epochs 1, not 5
compare     --engine=scikit-learn               baseline.csv has engine stacked, not
compare     --results=tests                     mixed up with the project's own
evaluation  --results=.git/x                    mixed up with the project's own
remedies    --results=data                      mixed up with the project's own
tips        --results=experiments/x             mixed up with the project's own
benchmark   --results=.github                   mixed up with the project's own
validate    --results=.                         mixed up with the project's own
benchmark   --before=nowhere                    is no checkout of this project
benchmark   --before={here}/results             is no checkout of this project
benchmark   --part=tables                       must be engines, search or all
benchmark   --part=kills                        must be engines, search or all
benchmark   --data=nowhere                      cannot read nowhere
validate    --part=tables                       is not a folder of tables
validate    --part=tables --data={here}/empty   has no tables
validate    --part=kills --data=nowhere         cannot read nowhere
validate    --folds=98                          fewer than the 98 folds
"""


@POSIX_ONLY
@pytest.mark.parametrize("case", OPTION_CASES.strip().splitlines())
def test_options_that_do_not_fit(refused, tmp_path, case):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "empty").mkdir()
    command, options, says = re.split("  +", case)
    given = options.split()
    if "data" in COMMANDS[command].options and "--data" not in options:
        given.append(f"--data={SONAR}")
    if command == "predict" and "--model" not in options:
        given.append("--model={here}/results/tuned.keras")
    refused(command, *given, says=says)


ROWS = "".join(f"{i % 7},{i / 8},{'RM'[i % 2]}\n" for i in range(40))
FRAME = pd.read_csv(io.StringIO(ROWS), names=["a", "b", "kind"])


def zipped(**files):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("_", "."), text)
    return content.getvalue()


def as_parquet(table):
    content = io.BytesIO()
    parquet.write_table(table, content)
    return content.getvalue()


def workbook(**parts):
    """Return a workbook with parts that say something else; None leaves one out."""
    content, changed = io.BytesIO(), io.BytesIO()
    FRAME.to_excel(content, index=False)
    with zipfile.ZipFile(content) as whole, zipfile.ZipFile(changed, "w") as archive:
        for name in whole.namelist():
            part = parts.get(name.rpartition("/")[2].partition(".")[0], whole.read(name))
            if part is not None:
                archive.writestr(name, part)
    return changed.getvalue()


def with_field(content, start, field):
    """Return a zip archive with a field of its directory changed."""
    start += content.rindex(b"PK\x01\x02")
    return content[:start] + field + content[start + len(field) :]


ZIP, GZIP, PARQUET = zipped(t_csv=ROWS), gzip.compress(ROWS.encode()), as_parquet(pa.table(FRAME))
ARFF = "@relation x\n@attribute a real\n@attribute b real\n@attribute kind {R,M}\n@data\n"
TABLES = {
    "a quote only": '"',
    "a quote that is not closed": 'a,b,kind\n"' + ROWS,
    "a quote that is not closed for long": 'a,b,kind\n"' + 3000 * ROWS,
    "separators only": ",,\n" * 9,
    "a separator's line only": "sep=;\n",
    "comments only": "# a\n# b\n",
    "missing values only": "?,?,?\n" * 9,
    "a header twice": "a,b,kind\n" * 2,
    "a header of escape sequences": "a,\x1b[31m,kind\n" + ROWS,
    "a header of other controls": "a,\x9b31m,a\n" + ROWS.replace("0.25", "x\x9b31m"),
    "names in two forms": "\u00e9,e\u0301,kind\n" + ROWS,
    "lines of all lengths": "".join("1," * i + "R\n" for i in range(1, 20)),
    "a cell too many at the end": ROWS + "1,2,R,3\n",
    "a row": "1,2,R\n",
    "a class of a row": ROWS + "1,2,S\n",
    "a class without rows": ROWS.replace("R", "").replace("M", ""),
    "a class for each row": "".join(f"{i},{i % 3},c{i}\n" for i in range(40)),
    "numbers of thousands of digits": ROWS + f"{'9' * 5000},1,R\n",
    "a number with a tail": ROWS + "1e5x,1,R\n" + ROWS,
    "not a number": ROWS + "inf,1,R\n" + ROWS,
    "UTF-16 without its mark": ROWS.encode("utf-16-le"),
    "half a character of UTF-16": ROWS.encode("utf-16") + b"\0",
    "half a character of UTF-32": ROWS.encode("utf-32") + b"\0",
    "JSON": json.dumps({"a": [1, 2], "kind": ["R", "M"]}),
    "HTML": "<table><tr><td>1</td><td>R</td></tr></table>\n",
    "a pickle": b"\x80\x05\x95\x12\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94\x8c\x06system\x94.",
    "PDF": b"%PDF-1.4\n1 0 obj\n<< >>\nendobj\n",
    "SQLite": b"SQLite format 3\x00" + bytes(80),
    "gzip, cut": GZIP[:-9],
    "gzip, of a wrong checksum": GZIP[:-8] + bytes(8),
    "gzip, and something else": GZIP + b"more",
    "gzip, of gzip": gzip.compress(GZIP),
    "gzip, of nothing": gzip.compress(b""),
    "zip, of nothing": zipped(),
    "zip, of two": zipped(a_csv=ROWS, b_csv=ROWS),
    "zip, of zip": zipped(t_zip=ZIP),
    "zip, encrypted": with_field(ZIP, 8, b"\x01\x00"),
    "zip, of an unknown compression": with_field(ZIP, 10, b"\x63\x00"),
    "zip, of a wrong checksum": with_field(ZIP, 16, bytes(4)),
    "zip, elsewhere": with_field(ZIP, 42, b"\x00\x00\x00\x7f"),
    "a workbook's types only": zipped(**{"[Content_Types]_xml": "<Types/>"}),
    "a workbook without sheets": workbook(sheet1=None),
    "a workbook of no XML": workbook(workbook=b"\x00"),
    "a workbook of other XML": workbook(workbook=b"<a/>"),
    "a sheet of no XML": workbook(sheet1=b"<worksheet"),
    "a sheet of an entity": workbook(
        sheet1=b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><worksheet>&b;</worksheet>'
    ),
    "styles of no XML": workbook(styles=b"\x00"),
    "an old workbook": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
    "Parquet, its mark only": b"PAR1PAR1",
    "Parquet, with another end": PARQUET[:-12] + b"\xff" * 8 + b"PAR1",
    "Parquet, with other columns": PARQUET[:4] + bytes(60) + PARQUET[64:],
    "Parquet, without columns": as_parquet(pa.table({})),
    "Parquet, without rows": as_parquet(pa.table(FRAME[:0])),
    "Parquet, a column twice": as_parquet(pa.Table.from_pandas(FRAME).rename_columns(list("aab"))),
    "Parquet, of lists": as_parquet(pa.table({"a": [[1], [2]] * 9, "kind": ["R", "M"] * 9})),
    "Parquet, of bytes": as_parquet(pa.table({"a": [b"\xff", b"\xfe"] * 9, "b": [1, 2] * 9})),
    "ARFF, without attributes": "@relation x\n@data\n" + ROWS,
    "ARFF, without data": ARFF.replace("@data\n", ""),
    "ARFF, without rows": ARFF,
    "ARFF, sparse": ARFF + "{0 1, 2 R}\n",
    "ARFF, of other rows": ARFF + "1,2,3,R\n" * 9,
    "ARFF, a name that is not closed": ARFF.replace(" a ", " 'a ").replace("data", "date") + ROWS,
}


@pytest.mark.parametrize(("kind", "command"), list(zip(TABLES, itertools.cycle(READERS))))
def test_tables_of_every_kind(refused, tmp_path, kind, command):
    """Each by one of the commands that read a table, in turn."""
    content = TABLES[kind]
    (tmp_path / "t.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    model = ["--model={here}/results/tuned.keras"] if command == "predict" else []
    refused(command, "--data={here}/t.csv", *model, says=f"{tmp_path / 't.csv'}")


SPACES = r"""
= [1]
mlp__epochs = [1, 2
mlp__epochs = [1]\nmlp__epochs = [2]
[mlp]\nepochs = [1]
[[mlp__epochs]]\na = 1
mlp.epochs = [1]
mlp = [1]
__ = [1]
mlp__ = [1]
x__y = [1]
mlp__x = [1]
mlp__model = [1]
mlp__model__x__y = [1]
mlp__fit__epochs = [1]
mlp__model__task = ["ranking"]
mlp__model__task = ["regression"]
mlp__epochs = 5
mlp__epochs = []
mlp__epochs = {}
mlp__epochs = "all"
mlp__epochs = ["none"]
mlp__epochs = [1.5]
mlp__epochs = [-1]
mlp__epochs = [[1]]
mlp__epochs = [{a = 1}]
mlp__epochs = [1979-05-27]
mlp__epochs = [1979-05-27T07:32:00Z]
mlp__epochs = [9223372036854775808]
mlp__epochs = {low = 1, high = 1}
mlp__epochs = {low = "1", high = "2"}
mlp__epochs = {low = 1, high = 2, step = 1}
mlp__epochs = {low = 1, high = 2, log = 1}
mlp__epochs = {low = [1], high = [2]}
mlp__batch_size = [0]
mlp__batch_size = [2.5]
mlp__batch_size = [[16]]
mlp__loss = ["nothing"]
mlp__optimizer = [1]
mlp__random_state = [1]
mlp__model__hidden_dropout = [true]
mlp__model__hidden_dropout = ["high"]
mlp__model__hidden_dropout = [[0.1]]
mlp__model__hidden_dropout = [-0.0001]
mlp__model__hidden_dropout = {low = 0.5, high = 1.5}
mlp__model__hidden_units = ["60"]
mlp__model__hidden_units = [["a"]]
mlp__model__hidden_units = [[0]]
mlp__model__hidden_units = [[1.5]]
mlp__model__hidden_units = [[nan]]
mlp__model__hidden_units = [[inf]]
mlp__model__hidden_units = [[[1]]]
mlp__model__hidden_units = [{a = 1}]
mlp__model__hidden_units = [[1000000000]]
mlp__model__hidden_units = [[100000, 100000]]
mlp__model__hidden_units = [[99999999999999999999999999]]
mlp__model__learning_rate = ["fast"]
mlp__model__learning_rate = [0]
mlp__model__learning_rate = [[0.1]]
mlp__model__learning_rate_decay = [2]
mlp__model__max_norm = ["large"]
mlp__model__max_norm = [[1]]
mlp__model__max_norm = [-0.5]
mlp__model__momentum = ["none"]
standardize__x = [1]
standardize__with_std = ["x"]
standardize__copy = [1979-05-27]
"""
MANY = "".join(f"mlp__a{number} = [1, 2, 3, 4]\\n" for number in range(99))


@pytest.mark.parametrize("space", [*SPACES.strip().splitlines(), MANY])
@pytest.mark.parametrize("minutes", [None, 1])
def test_spaces(refused, tmp_path, space, minutes):
    (tmp_path / "space.toml").write_text(space.replace("\\n", "\n"))
    given = [f"--data={SONAR}", "--space={here}/space.toml", "--folds=2", "--epochs=1"]
    refused("tune", *given, *([f"--minutes={minutes}"] if minutes else []), says=": ")


LAMBDA = '"class_name": "Lambda", "config": {"function": {"class_name": "__lambda__", "config": {}}'
CONFIGS = {  # of a network: what stands there, and what it becomes
    "nothing": (".*", ""),
    "a list": (".*", "[]"),
    "a deep list": (".*", "[" * 100_000),
    "another class": ('"Sequential"', '"Popen"'),
    "a function of the system": (
        '"module": "keras.layers", "class_name": "Dense"',
        '"module": "os", "class_name": "system"',
    ),
    "another module": ('"keras.layers"', '"subprocess"'),
    "an unknown layer": ('"Dense"', '"Dance"'),
    "a layer of code": ('"class_name": "Dense", "config": {', f"{LAMBDA}, "),
    "an unknown activation": ('"relu"', '"explode"'),
    "an unknown type": ('"float32"', '"float31"'),
    "other units": (r'"units": \d+', '"units": 61'),
    "units of text": (r'"units": \d+', '"units": "60"'),
    "fewer than no units": (r'"units": \d+', '"units": -60'),
    "other inputs": (r"\[null, 60\]", "[null, 61]"),
    "inputs of any size": (r"\[null, 60\]", "[null, null]"),
}
MEMBERS = ("config.json", "model.weights.h5", "labels.json")


def rewritten(model, path, /, **members):
    """Copy a network with members changed by functions; None leaves one out."""
    with zipfile.ZipFile(model) as whole, zipfile.ZipFile(path, "w") as other:
        for name in whole.namelist():
            change = members.get(name.partition(".")[0], lambda content: content)
            if change is not None:
                other.writestr(name, change(whole.read(name)))


@pytest.mark.parametrize("kind", CONFIGS)
def test_networks_of_other_parts(refused, made, tmp_path, kind):
    def change(content):
        text = re.sub(*CONFIGS[kind], content.decode(), flags=re.DOTALL)
        assert text != content.decode()
        return text

    rewritten(made / "tuned.keras", tmp_path / "t.keras", config=change)
    refused("predict", f"--data={SONAR}", "--model={here}/t.keras", says=CORRUPT)


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize("change", [None, lambda _: b"", lambda content: content[::-1]])
def test_networks_without_a_part(refused, made, tmp_path, member, change):
    name = member.partition(".")[0]
    rewritten(made / "tuned.keras", tmp_path / "t.keras", **{name: change})
    refused("predict", f"--data={SONAR}", "--model={here}/t.keras", says=CORRUPT)


# A command, what is in its way in the folder of results, and what that is.
OBSTACLES = """
baseline    baseline.csv                  folder
visible     summary.csv                   folder
hidden      curves.csv                    link
control     control-curves.csv            file
baseline    .lock                         folder
visible     .sonar-dropout-being-written  file
control     .sonar-dropout-written        file
remedies    remedies.csv                  link
tips        tips-folds.json               folder
evaluation  evaluation-outputs.csv        file
tune        tuned.keras                   folder
tune        report.html                   link
predict     predictions.csv               folder
compare     context.csv                   link
compare     hidden.json                   folder
figures     figures                       file
figures     figures/curves.svg            link
figures     comparison.json               folder
report      README.md                     folder
report      claims.csv                    link
report      tuning.csv                    folder
validate    validation.csv                folder
validate    validation-search.json        link
verify      baseline.csv                  folder
verify      tuned.json                    link
benchmark   benchmark.csv                 file
benchmark   benchmark-search.json         folder
"""


@POSIX_ONLY
@pytest.mark.parametrize("case", OBSTACLES.strip().splitlines())
def test_what_is_in_the_way_in_the_folder(refused, tmp_path, case, monkeypatch):
    """It is found before the training."""
    monkeypatch.setattr(Run, "cross_validate", None)
    monkeypatch.setattr("experiments.tune.draw", None)
    command, name, kind = case.split()
    path = tmp_path / "results" / name
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to("nowhere")
    else:
        path.write_text("mine")
    options = [f"--data={SONAR}"] if "data" in COMMANDS[command].options else []
    if command == "predict":
        options.append("--model={here}/results/tuned.keras")
    refused(command, *options, says=str(path if path.suffix else tmp_path))

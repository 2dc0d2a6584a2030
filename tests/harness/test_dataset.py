"""The Sonar data are read exactly; errors in other tables are reported with their place."""

import gzip
import hashlib
import time
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from experiments.harness import dataset
from experiments.harness.dataset import read_dataset
from experiments.harness.errors import InputError
from tests.conftest import SONAR

CHECKSUM = "e90434cdbf00fcf93ffa911fe447ae25606979658e60f1d32e155c3b5240234d"
GOOD = "0.1,0.2,R\n0.3,0.4,R\n0.5,0.6,M\n0.7,0.8,M\n"


def read(tmp_path, content, **options):
    path = tmp_path / "table.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_dataset(path, **{"folds": 2} | options)


def test_sonar_is_uci_s_file_to_the_byte_and_read_exactly(sonar):
    content = SONAR.read_bytes()
    assert len(content) == 87_776
    assert hashlib.sha256(content).hexdigest() == sonar.sha256 == CHECKSUM
    assert sonar.X.shape == (208, 60)
    assert sonar.classes == ("M", "R")
    assert np.unique(sonar.y, return_counts=True)[1].tolist() == [111, 97]
    written = "".join(
        ",".join(f"{value:.4f}" for value in row) + f",{label}\n"
        for row, label in zip(sonar.X, sonar.y, strict=True)
    )
    assert written.encode() == content


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        GOOD.replace("\n", "\r\n"),
        "\ufeff" + GOOD,
        GOOD + "\n\n",
        GOOD.rstrip("\n"),
        GOOD.replace(",R", ", R "),
        GOOD.replace("0.1,", " 1e-1 ,"),
        GOOD.replace(",", ";"),
        GOOD.replace(",", "\t"),
        GOOD.replace(",", "|"),
        GOOD.replace(",", "   "),
        GOOD.replace(".", ",").replace(",R", ";R").replace(",M", ";M").replace(",0,", ";0,"),
        GOOD.encode("utf-16"),
        gzip.compress(GOOD.encode(), mtime=0),
        "# made by X\n" + GOOD.replace("\n", "\n# a comment\n"),
        "sep=;\n" + GOOD.replace(",", ";"),
        "Survey 2024,,\n" + GOOD,
        "Survey 2024\n\n" + "height,width,class\n" + GOOD,
        GOOD.replace("\n", ",\n"),
        "height,width,class\n" + GOOD.replace("\n", ",\n"),
        "height,width,class,\n" + GOOD.replace("\n", ",\n"),
        "@RELATION x\n% a comment\n@attribute 'a b' real\n@attribute b real\n"
        "@attribute class {R, M}\n@DATA\n" + GOOD.replace("R", "'R'"),
        "height,width,class\n" + GOOD,
        '"height, m"; width ;class\n' + GOOD.replace(",", ";"),
        "\ufeffheight, width, class\r\n\r\n" + GOOD.replace("\n", "\r\n\r\n").replace(",", " , "),
    ],
)
def test_harmless_variants(tmp_path, text):
    data = read(tmp_path, text)
    assert data.X.tolist() == [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6], [0.7, 0.8]]
    assert data.y.tolist() == ["R", "R", "M", "M"]


COMMAS = "a;b;class\n" + GOOD.replace(",", ";").replace(".", ",")
HEADER = "if line 1 is a header, say so by the name of the class column"
MANY = "".join(f"{i % 7},{i % 2},{i / 8},c{i % 2}\n" for i in range(1, 21))
BAD = [
    ("", "is empty"),
    ("\n \n", "is empty"),
    (b"\xff\xfe\x00\xd8\x00", "one column"),
    (b"\x89PNG\r\n\x1a\n\0\0", "is not a text file"),
    (GOOD.replace("0.4", "\0"), "is not a text file"),
    ("1\n2\n", "one column; features and a class are needed"),
    (GOOD.replace("0.1", "low", 1), "line 1, column 1: 'low' is not a number"),
    ("a,b,class\n" + GOOD.replace("0.4", "x"), "line 3, column 2 ('b'): 'x' is not a"),
    ("a,a,class\n" + GOOD, "two columns are named 'a'"),
    ("a,b,class\n", "has a header and no rows"),
    (GOOD.replace("0.4,", ""), "line 2: 2 cells, where most lines have 3"),
    (GOOD.replace("0.6,", "0.6,9,"), "line 3: 4 cells, where most lines have 3"),
    (GOOD.replace("0.6", "-inf"), "line 3, column 2: '-inf' is not a finite number"),
    (GOOD.replace("0.6", "1e999"), "line 3, column 2: '1e999' is not a finite number"),
    (GOOD.replace("0.7", "1_0"), "line 4, column 1: '1_0' is not a number"),
    (GOOD.replace("0.7", "0x7"), "line 4, column 1: '0x7' is not a number"),
    (GOOD.replace(",R", ",", 1), "column 3 is to be predicted, and 1 row lacks it (line 1)"),
    (GOOD.replace("R", "?"), "2 rows lack it (line 1, 2); DROP_UNLABELLED=1 leaves such rows"),
    (GOOD.replace("M", "R"), "column 3 has one class only: 'R'; there must be two or more"),
    (GOOD.replace("R", "1").replace("M", "1.0"), "column 3 has one class only: '1'"),
    ("1,2,3\n4,5,6\n7,8,9\n", "column 3 cannot be the class: it has 3 different values in 3 rows"),
    (MANY + "x,1,2,c1\n", "line 21, column 1: 'x' is not a number"),
    (GOOD.replace("0.6", "1e31"), "column 2: '1e31' is larger than 1e+30; give the column"),
    ("1e-31,1,R\n-2e-31,2,R\n0,3,M\n", "column 1: no number is as large as 1e-30; give it another"),
    (
        "1990,1991,kind\n" + 2 * GOOD,
        f"1 row, fewer than the 2 folds; {HEADER}",
    ),
    (
        GOOD + "1,2,M\n3,4,M\n1,2,R\n",
        "class 'R' has 3 rows, fewer than the 4 folds",
    ),
    (MANY, "column 2 says the class again; leave it out: DROP=2 (KEEP=2 to use it)"),
    ("1;1,234;R\n2;5,678;M\n" * 4, "is '1,234' 1234 or 1.234? write it that way"),
    ("1,5%,R\n2,6%,M\n" * 4, "'5%' is not a plain number; leave out the sign"),
]


@pytest.mark.parametrize("number", range(len(BAD)))
def test_errors_are_reported_with_their_place(tmp_path, number):
    content, message = BAD[number]
    with pytest.raises(InputError) as caught:
        read(tmp_path, content, folds=4 if "4 folds" in message else 2)
    assert message in str(caught.value)
    assert str(tmp_path / "table.csv") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_dataset(tmp_path / "none.csv", folds=2)
    with pytest.raises(InputError, match="Is a directory"):
        read_dataset(tmp_path, folds=2)


@pytest.mark.parametrize("target", ["kind", "1"])
def test_the_class_may_be_any_column(tmp_path, target):
    text = "kind;a;b\nyes;1;2\nno;3;4\n"
    data = read(tmp_path, text, folds=1, target=target)
    assert data.X.tolist() == [[1, 2], [3, 4]]
    assert data.y.tolist() == ["yes", "no"]
    assert (data.features, data.classes) == (("a", "b"), ("no", "yes"))
    assert data.origin()["target"] == target
    for wrong in ("kinds", "0", "4", "-1"):
        with pytest.raises(InputError, match=f"no column '{wrong}': its 3 columns are 'kind'"):
            read(tmp_path, text, folds=1, target=wrong)


@pytest.mark.parametrize(
    ("header", "target", "features"),
    [
        ("Na,Mg,class\n", None, ("Na", "Mg")),  # sodium is no missing value
        ("1990,1991,class\n", None, ("1990", "1991")),  # years: a class is called so
        ("1990,1991,kind\n", "kind", ("1990", "1991")),  # the target's name shows it
        ("a,b,3\n", None, ("a", "b")),
        ("a,b,class\n", "3", ("a", "b")),
        ("0,1,2\n", None, ("column 1", "column 2")),  # pandas' default names
        ("1,2,0_A11\n", "0_A11", ("1", "2")),
        ("", None, ("column 1", "column 2")),
    ],
)
def test_headers_are_recognised(tmp_path, header, target, features):
    data = read(tmp_path, header + GOOD, target=target)
    assert data.features == features
    assert data.y.tolist() == ["R", "R", "M", "M"]


def test_a_header_without_the_name_of_the_row_names(tmp_path):
    """As R's write.table has it."""
    rows = [f'"{i}" {line.replace(",", " ")}' for i, line in enumerate(GOOD.splitlines(), 1)]
    data = read(tmp_path, '"a" "b" "kind"\n' + "\n".join(rows), drop=["1"])
    assert data.features == ("a", "b")
    assert data.X.tolist() == [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6], [0.7, 0.8]]


def test_a_table_of_text_has_no_header_if_its_first_row_recurs(tmp_path):
    rows = "e,x,s\np,y,s\ne,x,t\np,x,t\n" * 3
    assert len(read(tmp_path, rows, target="1").y) == 12
    assert read(tmp_path, "kind,cap,gill\n" + rows, target="1").features == ("cap", "gill")


def numbered_rows(n_rows=40):
    """Return columns of a table with a class in two of three rows, and columns made from it."""
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(generator.normal(size=(n_rows, 2)).round(3), columns=["age", "income"])
    frame["bought"] = np.where(np.arange(n_rows) % 3, "no", "yes")
    return frame


def read_frame(tmp_path, frame, **options):
    return read(tmp_path, frame.to_csv(index=False), **options)


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("nr", lambda n: np.arange(n) + 17, "a number for each row"),
        ("nr", lambda n: np.arange(n)[::-1], "a number for each row"),
        ("ID", lambda n: np.arange(n) % 9, "an id"),
        ("Unnamed: 0", lambda n: np.arange(n), "an id"),
        ("name", lambda n: [f"customer {i}" for i in range(n)], "text that differs on every row"),
        ("unit", lambda n: [7] * n, "the same on every row"),
        ("unit", lambda n: ["cm"] * n, "the same on every row"),
        ("note", lambda n: [""] * n, "without any value"),
    ],
)
def test_what_is_no_feature_is_left_out(tmp_path, name, values, reason):
    frame = numbered_rows()
    frame.insert(1, name, values(len(frame)))
    data = read_frame(tmp_path, frame)
    assert data.features == ("age", "income")
    assert data.left_out == {name: reason}
    assert data.describe()[0].endswith(f"; left out: {name} ({reason})")
    if reason != "without any value":
        assert name in read_frame(tmp_path, frame, keep=[name]).features
        assert name in read_frame(tmp_path, frame, keep=["2"]).features


def test_a_column_that_looks_like_an_id_is_kept_with_a_note(tmp_path):
    frame = numbered_rows(100)
    frame["hospital"] = 530_000 + np.arange(100) ** 2 // 3
    frame.insert(0, "label", frame.pop("bought"))
    data = read_frame(tmp_path, frame)
    assert data.features == ("age", "income", "hospital")
    (note,) = data.notes
    assert note.startswith("column 4 ('hospital') looks like an id (")
    assert note.endswith("DROP=hospital leaves it out")
    dropped = read_frame(tmp_path, frame, drop=["hospital"])
    assert dropped.features == ("age", "income")
    assert dropped.origin()["drop"] == ["hospital"]
    assert not dropped.notes


@pytest.mark.parametrize(
    "repeated",
    [
        lambda y: np.where(y == "yes", 1, 0),
        lambda y: np.where(y == "yes", "alive", "dead"),
        lambda y: np.where(y == "yes", "a", ""),
    ],
)
def test_a_column_that_says_the_class_again_is_refused(tmp_path, repeated):
    frame = numbered_rows()
    frame.insert(0, "again", repeated(frame["bought"]))
    with pytest.raises(InputError, match=r"\('again'\) says the class again; .*DROP=again"):
        read_frame(tmp_path, frame)
    assert read_frame(tmp_path, frame, drop=["again"]).features == ("age", "income")
    assert read_frame(tmp_path, frame, keep=["again"]).features == ("again", "age", "income")


def test_one_of_several_classes_in_a_column_is_refused(tmp_path):
    frame = numbered_rows(60)
    frame["class"] = np.arange(60) % 3
    del frame["bought"]
    frame["is_2"] = (frame["class"] == 2).astype(int)
    with pytest.raises(InputError, match=r"'is_2'\) says the class again"):
        read_frame(tmp_path, frame)


def test_the_columns_that_could_be_the_class_are_named(tmp_path):
    frame = numbered_rows()[["bought", "age", "income"]]
    with pytest.raises(InputError) as caught:
        read_frame(tmp_path, frame)
    assert str(caught.value).endswith(
        "column 3 ('income') cannot be the class: it has 40 different values in 40 rows; "
        "say which column is: TARGET=bought (column 1 ('bought') could be); "
        "to predict this number: make tune TASK=regression"
    )
    frame["label"] = "x"
    assert read_frame(tmp_path, frame.assign(label=frame["bought"])[["label", "age"]]).classes


def test_a_number_to_predict(tmp_path):
    frame = numbered_rows()
    frame["price"] = 5 + np.arange(40) % 23 * 2.5
    data = read_frame(tmp_path, frame, task="regression")
    assert (data.task, data.classes, data.target) == ("regression", (), "price")
    assert data.y.tolist() == frame["price"].tolist()
    assert data.categories == ("bought",)
    assert data.origin()["task"] == "regression"
    assert data.describe() == [
        "table.csv: 40 rows; 2 numbers, 1 category; "
        'number to predict "price" (5 to 60, mean 29.3; always guessing the mean: R² 0)'
    ]
    frame.loc[3, "price"] = np.nan
    with pytest.raises(InputError, match=r"1 row lacks it \(line 5\); DROP_UNLABELLED=1"):
        read_frame(tmp_path, frame, task="regression")
    data = read_frame(tmp_path, frame, task="regression", drop_unlabelled=True)
    assert data.notes == ("1 row without a number to predict left out",)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (
            {},
            {"target": "bought"},
            r"column 3 \('bought'\) cannot be the number to predict: 'yes' in line 2 is not a "
            r"number; say which column is: TARGET=… \(column 1 \('age'\), column 2 \('income'\)",
        ),
        ({"price": 3}, {}, "cannot be the number to predict: it is the same on every row"),
        ({"cents": lambda f: 100 * f["price"]}, {"target": "price"}, "DROP=cents"),
        ({}, {"folds": 21}, "40 rows, too few for 21 folds of two rows or more"),
    ],
)
def test_what_cannot_be_predicted_as_a_number_is_refused(tmp_path, change, options, message):
    frame = numbered_rows().assign(price=np.random.default_rng(1).normal(size=40))
    with pytest.raises(InputError, match=message):
        read_frame(tmp_path, frame.assign(**change), task="regression", **options)


def test_missing_cells_and_text_make_a_frame(tmp_path):
    frame = numbered_rows()
    frame.loc[:4, "age"] = np.nan
    frame.insert(2, "town", np.resize(["Oslo", "Rome", "", "?", "none"], 40))
    frame.insert(3, "member", np.resize([True, False, True], 40))
    data = read_frame(tmp_path, frame)
    assert data.categories == ("town",)
    assert data.X["town"][:5].tolist() == ["Oslo", "Rome", "", "", "none"]
    assert data.X["member"][:3].tolist() == [1, 0, 1]
    assert data.n_missing == 5 + 16
    assert data.describe() == [
        "table.csv: 40 rows; 3 numbers, 1 category, 21 missing cells; "
        'class "bought" (no: 26, yes: 14; always guessing no: 65.0%)'
    ]


def test_rows_without_a_class_are_left_out_if_asked_for(tmp_path):
    frame = numbered_rows()
    frame.loc[[3, 7], "bought"] = ["?", "NA"]
    with pytest.raises(InputError, match=r"2 rows lack it \(line 5, 9\); DROP_UNLABELLED=1"):
        read_frame(tmp_path, frame)
    data = read_frame(tmp_path, frame, drop_unlabelled=True)
    assert len(data.y) == 38
    assert data.notes == ("2 rows without a class left out",)
    frame["age"] = frame["age"].astype(object)
    frame.loc[20, "age"] = "?!"
    with pytest.raises(InputError, match=r"line 22, column 1 \('age'\): '\?!' is not a number"):
        read_frame(tmp_path, frame, drop_unlabelled=True)
    assert read_frame(tmp_path, frame, drop_unlabelled=True, keep=["age"]).categories == ("age",)


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["1,234.5", "12", "6"], [1234.5, 12, 6]),
        (["1.234,5", "12", "6"], [1234.5, 12, 6]),
        (["1 234,5", "1'200", "6"], [1234.5, 1200, 6]),
        (["0,5", "1,234", "6"], [0.5, 1.234, 6]),
        (["+5", ".5", "1e3"], [5, 0.5, 1000]),
        (["-", "5", "."], [np.nan, 5, np.nan]),
    ],
)
def test_notations_of_numbers(tmp_path, cells, numbers):
    rows = "".join(f"{cell};{label}\n" for cell, label in zip(cells * 2, "RMRMRM", strict=True))
    data = read(tmp_path, rows)
    np.testing.assert_array_equal(np.ravel(data.X), numbers * 2)


def test_labels_are_compared_as_people_read_them(tmp_path):
    rows = "1,Zu\u0308rich\n2,Z\u00fcrich\n3,Bern\n4,Bern \n"
    assert read(tmp_path, rows * 2).classes == ("Bern", "Z\u00fcrich")
    assert read(tmp_path, "5,1\n6,1.0\n7,2\n8,2.0\n").classes == ("1", "2")
    assert read(tmp_path, "5,1\n6,1.0\n7,x\n8,x\n" * 2).classes == ("1", "x")
    assert read(tmp_path, "5,-\n6,none\n7,-\n8,none\n" * 2).classes == ("-", "none")
    large = "5,9007199254740992\n6,9007199254740993\n"
    assert len(read(tmp_path, large + large).classes) == 2
    composed, decomposed = "\u00e9", "e\u0301"
    text = f"a,{decomposed} kind\n" + f"5,{composed}\n6,{decomposed}\n7,x\n8,x\n" * 2
    for name in (composed, decomposed):
        assert read(tmp_path, text, target=f"{name} kind").classes == ("x", composed)


def test_other_formats(tmp_path):
    frame = numbered_rows()
    frame.to_excel(tmp_path / "table.xlsx", index=False)
    frame.to_parquet(tmp_path / "table.parquet")
    with zipfile.ZipFile(tmp_path / "table.zip", "w") as archive:
        archive.writestr("folder/table.csv", frame.to_csv(index=False))
    for name in ("table.xlsx", "table.parquet", "table.zip"):
        data = read_dataset(tmp_path / name, folds=2)
        assert np.array_equal(data.X, frame[["age", "income"]])
        assert data.y.tolist() == frame["bought"].tolist()
    for name in ("table.xlsx", "table.parquet", "table.zip"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(InputError, match=f"cannot read .*{name}"):
            read_dataset(tmp_path / name, folds=2)


def test_twenty_thousand_columns_take_no_quadratic_time(tmp_path):
    header = ",".join(f"gene {i}" for i in range(20_000))
    numbers = np.random.default_rng(0).normal(size=(10, 20_000)).round(2)
    rows = "".join(",".join(map(str, row)) + f",{'RM'[i % 2]}\n" for i, row in enumerate(numbers))
    started = time.process_time()
    data = read(tmp_path, f"{header},kind\n{rows}")
    assert np.array_equal(data.X, numbers)
    assert time.process_time() - started < 20


def test_a_large_table_is_not_held_several_times(tmp_path, monkeypatch):
    """Cells go once they are numbers, columns once they are in the array."""
    numbers, held, real = np.random.default_rng(0).normal(size=(20_000, 20)), [], dataset._as_array
    before = pa.total_allocated_bytes()

    def measure(features):
        held.append(pa.total_allocated_bytes() - before)
        array = real(features)
        held.append(pa.total_allocated_bytes() - before)
        return array

    monkeypatch.setattr(dataset, "_as_array", measure)
    table = pd.DataFrame(numbers).assign(kind=["M", "R"] * 10_000)
    data = read(tmp_path, table.to_csv(index=False))
    assert np.array_equal(data.X, numbers)
    assert held[0] < 1.2 * data.X.nbytes
    assert held[1] < 0.2 * data.X.nbytes

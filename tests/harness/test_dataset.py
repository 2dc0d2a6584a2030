"""The reader accepts the Sonar data as it is and names what is wrong with any other."""

import hashlib

import numpy as np
import pytest

from experiments.harness.dataset import read_dataset
from experiments.harness.errors import InputError
from tests.conftest import SONAR

CHECKSUM = "e90434cdbf00fcf93ffa911fe447ae25606979658e60f1d32e155c3b5240234d"
GOOD = "0.1,0.2,R\n0.3,0.4,R\n0.5,0.6,M\n0.7,0.8,M\n"


def test_sonar_is_uci_s_file_to_the_byte():
    content = SONAR.read_bytes()
    assert len(content) == 87_776
    assert hashlib.sha256(content).hexdigest() == CHECKSUM


def test_sonar_is_read_exactly(sonar):
    assert sonar.X.shape == (208, 60)
    assert sonar.X[0, :3].tolist() == [0.0200, 0.0371, 0.0428]
    assert sonar.classes == ("M", "R")
    assert np.unique(sonar.y, return_counts=True)[1].tolist() == [111, 97]
    assert sonar.sha256 == CHECKSUM
    written = "".join(
        ",".join(f"{value:.4f}" for value in row) + f",{label}\n"
        for row, label in zip(sonar.X, sonar.y, strict=True)
    )
    assert written.encode() == SONAR.read_bytes()


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
        "height,width,class\n" + GOOD,
        '"height, m"; width ;class\n' + GOOD.replace(",", ";"),
    ],
    ids=[
        "plain",
        "CRLF",
        "byte-order mark",
        "blank lines",
        "no last newline",
        "spaces",
        "1e-1",
        "semicolons",
        "tabs",
        "header",
        "header with a comma",
    ],
)
def test_harmless_variants_are_read_alike(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode())
    data = read_dataset(path, folds=2)
    assert data.X.tolist() == [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6], [0.7, 0.8]]
    assert data.y.tolist() == ["R", "R", "M", "M"]


@pytest.mark.parametrize(
    ("text", "folds", "message"),
    [
        ("", 2, "is empty"),
        ("\n \n", 2, "is empty"),
        ("1\n2\n", 2, "line 1: one column"),
        ("1|2|R\n3|4|M\n", 2, "line 1: one column"),
        (GOOD.replace("0.1", "low", 1), 2, "line 1, column 1: 'low' is not a number"),
        (GOOD.replace("0.1,0.2", "low,high"), 2, "line 1, column 1: 'low' is not a number"),
        ("a,b,class\n" + GOOD.replace("0.4", "x"), 2, "line 3, column 2 ('b'): 'x' is not a"),
        ("a,a,class\n" + GOOD, 2, "two columns are named 'a'"),
        ("a,b,class\n", 2, "has a header and no rows"),
        (
            "a;b;class\n" + GOOD.replace(",", ";").replace(".", ","),
            2,
            "'0,1' is not a number (write 0.5, not 0,5)",
        ),
        (GOOD.replace("0.4,", ""), 2, "line 2: 2 columns, where line 1 has 3"),
        (GOOD.replace("0.6,", "0.6,9,"), 2, "line 3: 4 columns, where line 1 has 3"),
        (GOOD.replace("0.4", ""), 2, "line 2, column 2: missing value ''"),
        (GOOD.replace("0.4", "?"), 2, "line 2, column 2: missing value '?'"),
        (GOOD.replace("0.4", "nan"), 2, "line 2, column 2: missing value 'nan'"),
        (GOOD.replace("0.6", "inf"), 2, "line 3, column 2: 'inf' is not a finite number"),
        (GOOD.replace("0.6", "1e999"), 2, "line 3, column 2: '1e999' is not a finite number"),
        (GOOD.replace("0.7", "high"), 2, "line 4, column 1: 'high' is not a number"),
        (GOOD.replace("0.7", "1_0"), 2, "line 4, column 1: '1_0' is not a number"),
        (GOOD.replace(",R", ",", 1), 2, "line 1: no class in 'column 3'"),
        (GOOD.replace("M", "R"), 2, "two classes are needed, 'column 3' has 1: 'R'"),
        (GOOD.replace("M", "Q", 1), 2, "two classes are needed, 'column 3' has 3"),
        (GOOD.replace("0.6", "1e31"), 2, "column 2: '1e31' is larger than 1e+30; give the column"),
        (
            "1e-31,1,R\n-2e-31,2,R\n0,3,M\n1e-40,4,M\n",
            2,
            "column 1: no number is as large as 1e-30; give it another unit",
        ),
        (",a,b,class\n0,1,2,R\n1,3,4,M\n", 1, "line 1: column 1 has no name; name it, or leave"),
        (
            "1990,1991,class\n" + GOOD,
            2,
            "has 3: 'M', 'R', 'class'; if line 1 is a header, say so by a class column's name",
        ),
        (GOOD, 3, "class 'M' has 2 rows, fewer than the 3 folds"),
        ('0.1,"0.2,R\n', 2, "line 1: unexpected end of data"),
    ],
)
def test_bad_tables_are_refused_with_the_place(tmp_path, text, folds, message):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_dataset(path, folds=folds)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("target", ["kind", "1"])
def test_the_class_may_be_any_column(tmp_path, target):
    path = tmp_path / "table.csv"
    path.write_text("kind;a;b\nyes;1;2\nno;3;4\n")
    data = read_dataset(path, folds=1, target=target)
    assert data.X.tolist() == [[1, 2], [3, 4]]
    assert data.y.tolist() == ["yes", "no"]
    assert (data.features, data.classes) == (("a", "b"), ("no", "yes"))
    assert data.origin()["target"] == target
    for wrong in ("kinds", "0", "4", "-1"):
        with pytest.raises(InputError, match=f"no column '{wrong}': its 3 columns are 'kind'"):
            read_dataset(path, folds=1, target=wrong)


@pytest.mark.parametrize(
    ("header", "target", "features"),
    [
        ("Na,Mg,class", None, ("Na", "Mg")),  # sodium is no missing value
        ("1990,1991,class", "class", ("1990", "1991")),  # years, and a name says they are
        ("a,b,3", None, ("a", "b")),
        ("a,b,class", "3", ("a", "b")),
    ],
)
def test_headers_that_are_hard_to_tell(tmp_path, header, target, features):
    path = tmp_path / "table.csv"
    path.write_text(f"{header}\n{GOOD}")
    data = read_dataset(path, folds=2, target=target)
    assert data.features == features
    assert data.y.tolist() == ["R", "R", "M", "M"]


def test_a_first_row_whose_label_comes_again_is_no_header(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("low,high,R\n" + GOOD)
    with pytest.raises(InputError, match="line 1, column 1: 'low' is not a number"):
        read_dataset(path, folds=2)


def test_columns_without_a_header_are_numbered(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(GOOD)
    assert read_dataset(path, folds=2).features == ("column 1", "column 2")


def test_unreadable_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_dataset(tmp_path / "none.csv", folds=2)
    with pytest.raises(InputError, match="Is a directory"):
        read_dataset(tmp_path, folds=2)
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(InputError, match="not a text file"):
        read_dataset(tmp_path / "binary.csv", folds=2)

"""The Sonar data are read exactly; errors in other tables are reported with their place."""

import hashlib

import numpy as np
import pytest

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
HEADER = "if line 1 is a header, say so by a class column's name"
BAD = [
    ("", "is empty"),
    ("\n \n", "is empty"),
    (b"\xff\xfe\x00\x80", "is not a text file"),
    (GOOD.replace("0.4", "\0"), "line 2"),
    ("1" * 200_000 + ",2,R\n" + GOOD, "line 1: field larger than field limit"),
    ("1\n2\n", "line 1: one column; numbers and a class are needed"),
    (GOOD.replace("0.1", "low", 1), "line 1, column 1: 'low' is not a number"),
    ("low,high,R\n" + GOOD, "line 1, column 1: 'low' is not a number"),  # no header
    ("a,b,class\n" + GOOD.replace("0.4", "x"), "line 3, column 2 ('b'): 'x' is not a"),
    ("a,a,class\n" + GOOD, "two columns are named 'a'"),
    ("a,b,class\n", "has a header and no rows"),
    (COMMAS, "'0,1' is not a number (write 0.5, not 0,5)"),
    (GOOD.replace("0.4,", ""), "line 2: 2 columns, where line 1 has 3"),
    (GOOD.replace("0.6,", "0.6,9,"), "line 3: 4 columns, where line 1 has 3"),
    (GOOD.replace("0.4", ""), "line 2, column 2: missing value ''"),
    (GOOD.replace("0.4", "?"), "line 2, column 2: missing value '?'"),
    (GOOD.replace("0.4", "nan"), "line 2, column 2: missing value 'nan'"),
    (GOOD.replace("0.6", "-inf"), "line 3, column 2: '-inf' is not a finite number"),
    (GOOD.replace("0.6", "1e999"), "line 3, column 2: '1e999' is not a finite number"),
    (GOOD.replace("0.7", "1_0"), "line 4, column 1: '1_0' is not a number"),
    (GOOD.replace("0.7", "0x7"), "line 4, column 1: '0x7' is not a number"),
    (GOOD.replace(",R", ",", 1), "line 1: no class in 'column 3'"),
    (GOOD.replace("M", "R"), "two classes are needed, 'column 3' has 1: 'R'"),
    (GOOD.replace("M", "Q", 1), "two classes are needed, 'column 3' has 3"),
    ("1,2,3\n4,5,6\n7,8,9\n", "two classes are needed, 'column 3' has 3"),
    (GOOD.replace("0.6", "1e31"), "column 2: '1e31' is larger than 1e+30; give the column"),
    ("1e-31,1,R\n-2e-31,2,R\n0,3,M\n", "column 1: no number is as large as 1e-30; give it another"),
    (",a,b,class\n0,1,2,R\n1,3,4,M\n", "line 1: column 1 has no name; name it, or leave"),
    ("1990,1991,class\n" + GOOD, f"has 3: 'M', 'R', 'class'; {HEADER}"),
    (GOOD + "1,2,M\n3,4,M\n" + "1,2,R\n", "class 'R' has 3 rows, fewer than the 4 folds"),
    ('0.1,"0.2,R\n', "line 1: unexpected end of data"),
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
        ("1990,1991,class\n", "class", ("1990", "1991")),  # years: the target's name shows it
        ("a,b,3\n", None, ("a", "b")),
        ("a,b,class\n", "3", ("a", "b")),
        ("", None, ("column 1", "column 2")),
    ],
)
def test_headers_are_recognised(tmp_path, header, target, features):
    data = read(tmp_path, header + GOOD, target=target)
    assert data.features == features
    assert data.y.tolist() == ["R", "R", "M", "M"]

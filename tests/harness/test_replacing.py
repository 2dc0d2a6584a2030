"""A file that this project did not write is never replaced, nor is a command's own input."""

import json
from argparse import Namespace

import pytest

from experiments.harness import files, replacing, store
from experiments.harness.errors import InputError
from experiments.harness.replacing import check_results
from experiments.harness.schema import ARMS, TABLES
from tests.conftest import REPOSITORY, SONAR, contents

COMMANDS = [
    *ARMS,
    "stopping",
    "remedies",
    "tips",
    "evaluation",
    "tune",
    "predict",
    "compare",
    "validate",
]
TABLE = "a,b\n1,2\n"
WRITTEN = [
    *((name, ending) for name, table in TABLES.items() for ending in ("csv", "json")),
    *((f"{arm}-curves", ending) for arm in ARMS for ending in ("csv", "json")),
]
STRANGERS = [
    (command, f"{name}.{ending}")
    for command in COMMANDS
    for name, ending in WRITTEN
    if name in TABLES and TABLES[name].command == command
]
STRANGERS += [
    ("baseline", "summary.csv"),
    ("hidden", "curves.csv"),
    ("hidden", "hidden-curves.csv"),
    ("tune", "tuned.keras"),
    ("tune", "report.html"),
]


@pytest.mark.parametrize(("command", "name"), STRANGERS)
def test_a_command_is_refused_before_it_starts(tmp_path, command, name):
    (tmp_path / name).write_text(TABLE)
    with pytest.raises(InputError, match=f"{name} was not written by this project"):
        check_results(command, Namespace(results=tmp_path))
    assert contents(tmp_path) == {name: TABLE.encode()}
    check_results("benchmark", Namespace(results=tmp_path))  # which writes other files


@pytest.mark.parametrize("content", [b"", b"mine", b"\x89PNG mine", b"\xff", b"{}", b"[]", b"null"])
@pytest.mark.parametrize("removed", [False, True])
@pytest.mark.parametrize("ending", ["csv", "json", "md", "html", "png", "svg", "keras", "txt"])
def test_no_file_of_another_is_written_over_or_removed(tmp_path, ending, removed, content):
    (tmp_path / f"x.{ending}").write_bytes(content)
    with pytest.raises(InputError, match="not written by this project"):
        files.write_together(tmp_path, {f"x.{ending}": None if removed else "new", "y.md": "new"})
    assert contents(tmp_path) == {f"x.{ending}": content}


def test_a_table_that_was_changed_is_not_replaced(tmp_path):
    table = TABLE.encode()
    record = {store.CHECKSUM: store._sha256(table)}
    files.write_together(tmp_path, {"x.csv": table, "x.json": json.dumps(record)})
    files.write_together(tmp_path, {"x.csv": table, "x.json": json.dumps(record)})
    (tmp_path / "x.csv").write_bytes(table + b"3,4\n")
    with pytest.raises(InputError, match="or was changed since"):
        files.write_together(tmp_path, {"x.csv": table})
    assert (tmp_path / "x.csv").read_bytes() == table + b"3,4\n"


def test_a_link_to_another_file_is_not_replaced(tmp_path):
    (tmp_path / "mine").write_text("mine")
    for name, target in (("x.csv", "mine"), ("y.csv", "nowhere")):
        (tmp_path / name).symlink_to(tmp_path / target)
        with pytest.raises(InputError, match=f"{name} was not written"):
            files.write_together(tmp_path, {name: "new"})
    assert (tmp_path / "mine").read_text() == "mine"


def test_the_lock_of_another_program_is_not_emptied(tmp_path):
    (tmp_path / files.LOCK).write_text("pid 7")
    with pytest.raises(InputError, match="is not a lock of this project"):
        files.write_together(tmp_path, {"x.md": "new"})
    assert (tmp_path / files.LOCK).read_text() == "pid 7"


@pytest.mark.parametrize("option", ["data", "space", "model"])
def test_a_command_does_not_replace_its_input(tmp_path, option):
    """Even if this project wrote it."""
    record = {store.CHECKSUM: store._sha256(TABLE.encode())}
    files.write_together(tmp_path, {"tuned.csv": TABLE, "tuned.json": json.dumps(record)})
    (tmp_path / "link.csv").symlink_to(tmp_path / "tuned.csv")
    for name in ("tuned.csv", "link.csv"):
        with pytest.raises(InputError, match="is read, and would be replaced"):
            check_results("tune", Namespace(results=tmp_path, **{option: tmp_path / name}))
    check_results("tune", Namespace(results=tmp_path, data=SONAR))


@pytest.mark.parametrize("folder", ["", "data", "data/new", "experiments/../data", ".git", "tests"])
def test_the_folders_of_the_project_take_no_results(folder):
    with pytest.raises(InputError, match="mixed up with the project's own"):
        check_results("baseline", Namespace(results=REPOSITORY / folder))
    assert not (REPOSITORY / "data" / "new").exists()


def test_it_is_said_that_a_committed_table_is_replaced(tmp_path, monkeypatch, capsys):
    record = {store.CHECKSUM: store._sha256(TABLE.encode())}
    files.write_together(tmp_path, {"tuned.csv": TABLE, "tuned.json": json.dumps(record)})
    check_results("tune", Namespace(results=tmp_path))
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(replacing, "is_committed", lambda _: True)
    check_results("tune", Namespace(results=tmp_path))
    line = f"tune: replaces {tmp_path}/tuned.csv; `git restore {tmp_path}` brings it back\n"
    assert capsys.readouterr().err == line


@pytest.mark.parametrize(
    ("command", "part", "name"),
    [
        ("validate", "tables", "validation-tables"),
        ("validate", "engines", "validation"),
        ("benchmark", "search", "benchmark-search"),
        ("benchmark", "engines", "benchmark"),
    ],
)
def test_a_part_replaces_its_own_tables_only(tmp_path, monkeypatch, capsys, command, part, name):
    record = {store.CHECKSUM: store._sha256(TABLE.encode())}
    for table in (each for each in TABLES if TABLES[each].command == command):
        files.write_together(tmp_path, {f"{table}.csv": TABLE, f"{table}.json": json.dumps(record)})
    monkeypatch.setattr(replacing, "is_committed", lambda _: True)
    check_results(command, Namespace(results=tmp_path, part=part))
    assert f"{command}: replaces {tmp_path / name}.csv; " in capsys.readouterr().err

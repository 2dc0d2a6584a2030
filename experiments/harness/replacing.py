"""What a command may replace in the folder of results, and what it says about that."""

import os
import sys
from argparse import Namespace

from experiments.harness.errors import InputError
from experiments.harness.files import check_folder
from experiments.harness.provenance import is_committed
from experiments.harness.schema import ARMS, TABLES

GROWING = (*ARMS, "stopping", "remedies", "tips")
PARTS = {"all": ("engines", "search"), "answers": ("answers", "power")}  # of validate
INPUTS = ("data", "space", "model")  # options that name a file


def check_results(command: str, options: Namespace) -> None:
    """Create the folder of results; raise `InputError` if the command must not write into it.

    It replaces neither its input nor a file that this project did not write. That it replaces a
    committed table, it says on stderr, and how to get it back.
    """
    folder = options.results
    own = [name for name, table in TABLES.items() if table.command == command]
    if part := getattr(options, "part", None):  # "validation" is that of the engines
        written = PARTS.get(part, (part,))
        own = [name for name in own if (name.partition("-")[2] or "engines") in written]
    shared = ["summary", "curves", f"{command}-curves"] if command in ARMS else []
    names = [f"{name}.{suffix}" for name in own + shared for suffix in ("csv", "json")]
    if command == "tune":
        names += ["tuned.keras", "report.html"]
    given = [getattr(options, name) for name in INPUTS if getattr(options, name, None)]
    for path in (folder / name for name in names):
        if any(path.exists() and each.exists() and os.path.samefile(path, each) for each in given):
            raise InputError(f"{path} is read, and would be replaced; set another --results")
    check_folder(folder, names)
    # Tables that grow are not replaced by a run that only adds to them: `grow` knows.
    tables = [folder / f"{name}.csv" for name in own if command not in GROWING]
    if committed := [str(path) for path in tables if path.exists() and is_committed(path)]:
        line = f"{command}: replaces {', '.join(committed)}; `git restore {folder}` brings it back"
        print(line, file=sys.stderr)

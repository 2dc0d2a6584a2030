"""What the project stands on: locked, hashed, and nothing else is let in."""

import ast
import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.scripts.test_scripts import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
LOCK = (REPOSITORY / "requirements.txt").read_text()
PINS = re.split(r"\n(?=[a-z0-9])", LOCK[LOCK.index("\n") + 1 :])
DIRECT = re.compile(r"sonar-dropout \(pyproject\.toml\)")
SOURCES = sorted((REPOSITORY / "experiments").rglob("*.py"))


def required():
    optional = PROJECT["optional-dependencies"].values()
    lines = [*PROJECT["dependencies"], *(line for lines in optional for line in lines)]
    return {canonicalize_name(one.name): one for one in map(Requirement, lines)}


def locked():
    """Pins by name; a package may have one for each kind of machine."""
    pins = {}
    for pin in PINS:
        if not pin.startswith("#"):
            requirement = Requirement(pin.split("\\")[0].strip())
            pins.setdefault(canonicalize_name(requirement.name), []).append((requirement, pin))
    return pins


def test_the_lock_has_what_the_project_requires_and_no_more():
    pins = locked()
    for name, requirement in required().items():
        assert name in pins, f"{name} is not locked; make lock"
        for pin, _ in pins[name]:
            (version,) = pin.specifier
            assert version.operator == "=="
            assert requirement.specifier.contains(version.version), f"{pin}; make lock"
    direct = {name for name, each in pins.items() if any(DIRECT.search(text) for _, text in each)}
    assert direct == set(required())


def test_every_pin_has_its_hashes_and_the_install_checks_them():
    for name, each in locked().items():
        assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", text) for _, text in each), name
    assert "--require-hashes -r requirements.txt" in (REPOSITORY / "Makefile").read_text()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_nothing_is_unpickled_evaluated_or_fetched(path):
    """Dask pickles between machines that the user starts; nothing does from a disk."""
    imported, called = set(), set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module.split(".")[0])
        elif isinstance(node, ast.Call):
            called.add(ast.unparse(node.func).split(".")[-1])
            for keyword in node.keywords:
                if keyword.arg in ("safe_mode", "allow_pickle"):
                    safe = keyword.arg == "safe_mode"
                    assert ast.unparse(keyword.value) == str(safe)
    assert not imported & {"pickle", "dill", "cloudpickle", "shelve", "marshal", "urllib",
                           "requests", "http", "socket"}  # fmt: skip
    assert not called & {"eval", "exec", "read_pickle", "load", "unpack_archive", "urlopen"}


def test_pythons_are_the_ones_that_are_tested():
    workflow = (REPOSITORY / ".github" / "workflows" / "tests.yml").read_text()
    tested = re.search(r"python: \[(.*)\]", workflow).group(1).replace('"', "").split(", ")
    prefix = "Programming Language :: Python :: "
    assert [line.removeprefix(prefix) for line in PROJECT["classifiers"]] == tested
    assert tested == ["3.11", "3.12", "3.13"]
    assert PROJECT["requires-python"] == ">=3.11,<3.14"

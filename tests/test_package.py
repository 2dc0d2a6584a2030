"""The library as it is installed: built, unpacked elsewhere, and used as the README shows."""

import os
import re
import shutil
import tomllib
import zipfile

import pytest

from tests.conftest import REPOSITORY, run_python

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Build an sdist, from it a wheel, without network, and unpack the wheel."""
    folder = tmp_path_factory.mktemp("package")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, folder)
    ignored = shutil.ignore_patterns("*.egg-info", "__pycache__")
    shutil.copytree(REPOSITORY / "experiments", folder / "experiments", ignore=ignored)
    run_python("-m", "build", "--no-isolation", folder, check=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed"


def test_the_wheel_holds_the_library_and_nothing_else(installed):
    modules = {path.name for path in (REPOSITORY / "experiments" / "foldstack").glob("*.py")}
    assert {path.name for path in (installed / "foldstack").iterdir()} == modules
    (metadata,) = (path.name for path in installed.iterdir() if path.name != "foldstack")
    assert re.fullmatch(r"foldstack-[\d.]+\.dist-info", metadata)


@pytest.mark.parametrize(
    ("page", "printed"),
    [
        ("README.md", [r"0\.9\d+", ".*mlp__model__hidden_dropout"]),
        ("experiments/foldstack/README.md", [r"Comparison\(difference="]),
    ],
)
def test_the_script_in_a_readme_runs_from_elsewhere(installed, page, printed):
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    (script,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert len([line for line in script.splitlines() if line]) <= 10
    environment = os.environ | {"PYTHONPATH": str(installed), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = run_python("-c", script, cwd=installed.parent / "dist", env=environment)
    assert done.returncode == 0, done.stderr
    for pattern, line in zip(printed, done.stdout.splitlines(), strict=True):
        assert re.match(pattern, line)


def test_pythons_are_the_ones_that_are_tested():
    workflow = (REPOSITORY / ".github/workflows/tests.yml").read_text(encoding="utf-8")
    tested = re.search(r"python: \[(.*)\]", workflow)[1].replace('"', "").split(", ")
    prefix = "Programming Language :: Python :: "
    assert [line.removeprefix(prefix) for line in PROJECT["classifiers"]] == tested
    low, high = tested[0], int(tested[-1].removeprefix("3.")) + 1
    assert PROJECT["requires-python"] == f">={low},<3.{high}"

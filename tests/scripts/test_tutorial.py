"""The notebook runs as it stands, and its prose states no number that a table might contradict."""

import json
import re

import pytest

from tests.conftest import REPOSITORY, run_python

NOTEBOOK = REPOSITORY / "experiments" / "tutorial.ipynb"
CELLS = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
CODE = ["".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code"]
PROSE = "\n".join("".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "markdown")
RESULT = r"[+−-]?\d+\.\d+|\d+(?:\.\d+)?%|\d+ of \d+"  # how the pages write results


def test_it_has_twelve_short_cells_and_pictures_as_its_only_outputs():
    assert len(CODE) == 12
    assert max(len(code.splitlines()) for code in CODE) <= 15
    outputs = [output for cell in CELLS for output in cell.get("outputs", ())]
    assert [list(output["data"]) for output in outputs] == [["image/png"]] * 2


def test_its_prose_states_settings_only():
    assert set(re.findall(RESULT, PROSE)) <= {"20%", "50%"}


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_it_runs_in_its_folder(committed, tmp_path):
    """On the committed tables; the scores are those of this machine."""
    folder = tmp_path / "experiments"
    folder.mkdir()
    (folder / "foldstack").symlink_to(REPOSITORY / "experiments" / "foldstack")
    (tmp_path / "data").symlink_to(REPOSITORY / "data")
    (tmp_path / "results").symlink_to(committed / "results")
    script = "import matplotlib\nmatplotlib.use('Agg')\n" + "\n".join(CODE)
    done = run_python("-c", script, cwd=folder, timeout=600)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^Baseline: \d\d\.\d\d% \(", done.stdout, re.MULTILINE)
    assert done.stdout.count("on this dataset") == 2

"""Pages as a browser shows them: nothing to scroll sideways, no errors, light and dark."""

import html
import shutil
import subprocess

import matplotlib.pyplot as plt
import pytest

from experiments.harness import store
from experiments.reporting import findings, gallery
from experiments.reporting.html import to_html
from experiments.reporting.pages import tuning_page

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")

# A window cannot be as narrow as a telephone; a frame can.
FRAME = """<!DOCTYPE html><body style="margin: 0">
<iframe style="width: {width}px; height: 900px; border: 0" srcdoc="{page}"></iframe>
<script>onload = () => {{
  const root = document.querySelector("iframe").contentDocument.documentElement;
  document.title = root.scrollWidth + " " + root.querySelectorAll("svg[aria-label]").length;
}}</script>"""


@pytest.fixture(scope="module", params=["study", "tuning"])
def report(request, published):
    if request.param == "study":
        return (published / "report.html").read_text()
    tables = {name: store.read_table(published, name) for name in gallery.TUNING}
    metadata = store.read_metadata(published, "tuned")
    figures = gallery.draw_tuning(tables, metadata)
    tuning = findings.tuning_in(tables, metadata) | findings.tuning_details(tables, metadata)
    page = tuning_page(tuning | {"read": ["sonar.csv: 208 rows; 60 numbers"]}, figures)
    return to_html(page, figures)


def browse(path, *options):
    """Open a page without a window; return what Chromium prints, and its messages."""
    profile = f"--user-data-dir={path.parent / 'profile'}"
    always = "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", profile
    done = subprocess.run(
        [CHROMIUM, *always, "--enable-logging=stderr", *options, path.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.parametrize("width", [360, 1200])
def test_a_report_fits_every_width(report, tmp_path, width):
    path = tmp_path / "frame.html"
    path.write_text(FRAME.format(width=width, page=html.escape(report)))
    printed, messages = browse(path, "--virtual-time-budget=3000", "--dump-dom")
    title = printed.split("<title>")[1].split("</title>")[0]
    assert title == f"{width} {report.count('<svg')}"
    assert messages == []


def test_a_report_is_light_or_dark_as_the_reader_likes(report, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(report)
    brightness = {}
    for scheme in (0, 1):  # dark, light
        picture = tmp_path / f"{scheme}.png"
        options = f"--screenshot={picture}", "--window-size=800,1200"
        browse(path, *options, f"--blink-settings=preferredColorScheme={scheme}")
        brightness[scheme] = plt.imread(picture)[-1, 0, :3].mean()
    assert brightness[0] < 0.2 < 0.8 < brightness[1]

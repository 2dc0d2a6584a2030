"""Pages and figures show what the tables hold, and text from the data unchanged."""

import json
import re
from argparse import Namespace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from experiments import figures, report
from experiments.harness import store
from experiments.harness.errors import InputError
from experiments.harness.schema import TABLES
from experiments.reporting import findings, gallery, pages
from experiments.reporting.html import to_html
from tests.reporting.conftest import rewrite

HOSTILE = "`<img src=x onerror=alert(1)>` | **a** [b](c:d) &lt; _e_ \x1b[31m\nf"
SHOWN = "`<img src=x onerror=alert(1)>` | **a** [b](c:d) &lt; _e_ [31m f"


def text_of(page):
    """Return the text that a reader sees, with single spaces."""
    parts = []
    reader = HTMLParser()
    reader.handle_data = parts.append
    reader.feed(MarkdownIt("commonmark").enable("table").render(page))
    reader.close()
    return " ".join("".join(parts).split())


def collect(folder):
    claims, _ = findings.judge(folder)
    return findings.collect(folder, claims)


def results_page(folder):
    """Return the page with the figures that the folder has."""
    return pages.results_page(
        collect(folder), {path.stem for path in (folder / "figures").glob("*.png")}
    )


@pytest.fixture(scope="module")
def page(published):
    return results_page(published)


def test_the_page_states_what_the_tables_hold_and_describes_every_column(published, page):
    for pair in pd.read_csv(published / "comparison.csv").itertuples():
        if not pair.family.startswith(("stopping", "remedies")):
            row = f"{pair.first} − {pair.second} | {pair.difference:+.2f}"
            assert f"{row} | {pair.dataset_low:+.2f} to {pair.dataset_high:+.2f} |" in page
        assert f"{pair.difference:+.1f}" in page or f"{pair.difference:+.2f}" in page
    claims, _ = findings.judge(published)
    assert len(claims) == 13
    for claim in claims.itertuples():
        assert f"{claim.low:.1f}" in page or claim.claim == "single_runs"
        assert f"*{claim.verdict}*" in page
    summary = pd.read_csv(published / "summary.csv")
    for arm in summary.itertuples():
        assert f"**{arm.mean_accuracy:.2%}** ({arm.std_accuracy:.2%})" in page
    for path in published.glob("*.csv"):
        assert f"`{path.name}`" in page
        for column, meaning in TABLES[path.stem].columns.items():
            assert f"| `{column}` | {meaning} |" in page
    assert page.count("](figures/") == len(list((published / "figures").glob("*.png")))


NUMBER = re.compile(r"(?<![\w.,-])[+-]?\d[\d,]*\.\d+(?![\w.])")


def numbers_in(folder):
    """Return every number of the tables, as a page may round it: in its own units, or in %."""
    found = set()
    for path in folder.glob("*.csv"):
        for _, column in pd.read_csv(path, low_memory=False).select_dtypes("number").items():
            values = column.replace([np.inf, -np.inf], np.nan).dropna().unique()
            if len(values) < 5000:
                for value in values:
                    found |= {
                        f"{factor * value:{sign}.{digits}f}"
                        for factor in (1, 100)
                        for sign in ("", "+")
                        for digits in (1, 2, 3, 4)
                    }
    return found


def test_every_number_of_the_verdicts_is_that_of_a_table(committed, published, page):
    """In what is generated on the main page, and in the tables and lists on the verdicts."""
    known = numbers_in(published)
    means = [pd.read_csv(published / f"{n}.csv") for n in ("context", "stopping")]
    known |= {f"{100 * mean:.1f}" for mean in means[0].groupby("experiment")["accuracy"].mean()}
    known |= {f"{means[1]['log_loss'].mean():.2f}"}
    arms = pd.read_csv(published / "curves.csv").groupby("experiment")["log_loss"]
    known |= {f"{value:.2f}" for value in [*arms.min(), *arms.last()]}
    readme = (committed / "README.md").read_text()
    front = readme.split("<!-- front -->")[1].split("<!-- /front -->")[0]
    verdicts = page.split("## What does a Dropout layer")[0]
    for text in (front, verdicts):
        text = re.sub(r"learning rate (of )?\d\.\d+|rate 0\.\d+|momentum 0\.\d+", "", text)
        text = re.sub(r"Keras \d\.\d\.\d|max-norm 4\.5|7\.5% on hidden", "", text)
        assert set(NUMBER.findall(text)) - known == set()
        assert len(NUMBER.findall(text)) > 10


def test_committed_pages_are_those_of_the_committed_tables(committed, published, page):
    assert (published / "README.md").read_text() == page
    readme = (committed / "README.md").read_text()
    assert readme == pages.fill(readme, pages.readme_parts(collect(published)))
    assert len(readme.splitlines()) <= 130
    assert readme.count("<!-- ") == 2
    figures = gallery.draw(published)
    html = to_html(pages.results_page(collect(published), figures), figures)
    assert (published / "report.html").read_text() == html
    claims, _ = findings.judge(published)
    assert (published / "claims.csv").read_text() == claims.to_csv(index=False)


def test_the_terminal_shows_the_sentences_of_the_page(published, page):
    lines = pages.tuning_summary(findings.tuning(published))
    lines += pages.dropout_modes_summary(published)
    assert len(lines) == 14
    assert all(f"- {line}\n" in page.replace("*", "") for line in lines)
    first, *others = pages.tips_summary(published)
    assert len(others) == 8
    claim = pd.read_csv(published / "claims.csv").set_index("claim").loc["moderate_rates_help"]
    assert first.startswith(f"Tip 1: Dropout of 20% to 50% helps: {claim['verdict']} (")
    comparison = pd.read_csv(published / "comparison.csv")
    *lines, last = pages.comparison_summary(comparison)
    assert len(lines) == 3 * len(comparison)
    assert last.startswith("On this dataset 5 of the 5 pairs of arms are decided")


def test_other_datasets_have_no_claims_and_a_page_needs_one_arm(results):
    (results / "claims.csv").unlink()
    for path in results.glob("*.json"):
        metadata = json.loads(path.read_text())
        if "data" in metadata:
            rewrite(results, path.stem, data=metadata["data"] | {"sha256": "0" * 64})
    page = results_page(results)
    assert "hidden − control" in page
    for absent in ("reproduce?", "(Keras 1)", "a slight drop", "cylinder", "claims.csv"):
        assert absent not in page
    assert pages.readme_parts(collect(results)) == {}
    for path in {*results.glob("*.csv")} - {results / "control.csv"}:
        path.unlink()
    assert "- Arms: 60 repeats" in results_page(results)
    (results / "control.csv").unlink()
    with pytest.raises(InputError, match="has no tables to report on"):
        results_page(results)


def test_text_from_the_data_is_escaped(results):
    data = store.read_metadata(results, "baseline")["data"] | {"file": HOSTILE}
    rewrite(results, "baseline", data=data)
    comparison = pd.read_csv(results / "comparison.csv")
    control = (comparison["first"] == "control") & (comparison["second"] == "svc")
    comparison.loc[control, "first"] = HOSTILE
    rewrite(results, "comparison", comparison)
    metadata = store.read_metadata(results, "tuned")
    metadata["candidates"][metadata["best"]] |= {"mlp__model__" + HOSTILE: HOSTILE}
    rewrite(results, "tuned", candidates=metadata["candidates"])
    page = results_page(results)
    assert "<img" not in page
    assert "\x1b" not in page
    text = text_of(page)
    assert f"Dataset: {SHOWN}, 208 rows" in text
    assert f"{SHOWN} − svc" in text
    assert f", {SHOWN} {SHOWN}, epochs " in text
    line = pages.tuning_summary(findings.tuning(results))[-1]
    assert line.isprintable()
    assert f", {SHOWN} {SHOWN}, epochs " in " ".join(line.split())


@given(st.text() | st.text("`*_[]()<>&|~#!-+.:/\\ \n\"'aw1"))
def test_any_text_is_escaped(text):
    page = "| a |\n|---|\n| x {{ t }} y {{ t|code }} z {{ t|em }} |\n\nx {{ t }} y {{ t|code }} z\n"
    shown = text_of(pages._markdown().from_string(page).render(t=text))
    t = pages.without_unprintable(text).strip()
    assert shown == " ".join(f"a x {t} y {t} z {t or '?'} x {t} y {t} z".split())


def test_markers_are_filled_and_must_exist():
    page = "a\n<!-- x -->\nold\n<!-- /x -->\nb\n"
    assert pages.fill(page, {"x": "new \\1\n"}) == "a\n<!-- x -->\nnew \\1\n<!-- /x -->\nb\n"
    with pytest.raises(InputError, match="markers"):
        pages.fill(page, {"y": ""})


def test_the_report_replaces_only_its_own_page(results, capsys):
    page = results / "README.md"
    for _ in range(2):
        report.write_report(Namespace(results=results))
        assert capsys.readouterr().out.count("written:") == 3
        assert page.read_text() == results_page(results)
        assert list(store.read_table(results, "claims")) == list(TABLES["claims"].columns)
    page.write_text("mine")
    with pytest.raises(InputError, match="was not written by this project"):
        report.write_report(Namespace(results=results))
    assert page.read_text() == "mine"


def test_figures_are_drawn_for_all_tables_and_the_same_every_time(results, capsys):
    names = {path.name for path in (results / "figures").iterdir()}
    drawings = []
    for _ in range(2):
        figures.draw_figures(Namespace(results=results))
        assert capsys.readouterr().out.count("written:") == 12
        drawings.append({name: (results / "figures" / name).read_bytes() for name in names})
    assert len(names) == 24
    assert drawings[0] == drawings[1]

"""The pages state what the tables hold, and show text from the data as it is."""

import json
from html.parser import HTMLParser

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from experiments import report
from experiments.harness import store
from experiments.harness.errors import InputError
from experiments.harness.schema import TABLES
from experiments.reporting import findings, pages
from tests.reporting.conftest import rewrite

HOSTILE = "`<img src=x onerror=alert(1)>` | **a** [b](c:d) &lt; _e_ \x1b[31m\nf"
SHOWN = "`<img src=x onerror=alert(1)>` | **a** [b](c:d) &lt; _e_ [31m f"


def text_of(page):
    """The text that a reader sees, with single spaces."""
    parts = []
    reader = HTMLParser()
    reader.handle_data = parts.append
    reader.feed(MarkdownIt("commonmark").enable("table").render(page))
    reader.close()
    return " ".join("".join(parts).split())


@pytest.fixture(scope="module")
def page(converted):
    return pages.results_page(converted)


def test_the_page_states_what_the_tables_hold_and_describes_every_column(converted, page):
    for pair in pd.read_csv(converted / "comparison.csv").itertuples():
        assert f"{pair.first} − {pair.second} | {pair.difference:+.2f}" in page
    claims, _ = findings.judge(converted)
    assert len(claims) == 13
    for claim in claims.itertuples():
        assert f"{claim.low:.1f}" in page or f"{claim.low:.0f}%" in page
        assert f"*{claim.dataset_verdict}*" in page
    summary = pd.read_csv(converted / "summary.csv")
    for arm in summary.itertuples():
        assert f"**{arm.mean_accuracy:.2%}** ({arm.std_accuracy:.2%})" in page
    for path in converted.glob("*.csv"):
        assert f"`{path.name}`" in page
        for column, meaning in TABLES[path.stem].columns.items():
            assert f"| `{column}` | {meaning} |" in page
    assert page.count("](figures/") == len(list((converted / "figures").glob("*.png")))


def test_committed_pages_are_those_of_the_committed_tables(committed):
    results = committed / "results"
    if "these_low" in pd.read_csv(results / "comparison.csv"):
        pytest.skip("the committed tables still have their old column names")  # until regenerated
    assert (results / "README.md").read_text() == pages.results_page(results)
    readme = (committed / "README.md").read_text()
    assert readme == pages.fill(readme, pages.readme_parts(results))
    claims, _ = findings.judge(results)
    assert (results / "claims.csv").read_text() == claims.to_csv(index=False)


def test_the_terminal_shows_the_sentences_of_the_page(converted, page):
    lines = pages.tuning_summary(converted) + pages.dropout_modes_summary(converted)
    assert len(lines) == 12
    assert all(f"- {line}\n" in page.replace("*", "") for line in lines)
    first, *others = pages.tips_summary(converted)
    assert len(others) == 8
    assert first.startswith("Tip 1: Dropout of 20% to 50% helps: too close to call on this dataset")


def test_other_datasets_have_no_claims(results):
    for path in results.glob("*.json"):
        metadata = json.loads(path.read_text())
        if "data" in metadata:
            rewrite(results, path.stem, data=metadata["data"] | {"sha256": "0" * 64})
    page = pages.results_page(results)
    assert "hidden − control" in page
    for absent in ("Answers", "(Keras 1)", "a slight drop", "cylinder", "claims.csv"):
        assert absent not in page
    assert set(pages.readme_parts(results)) == {"accuracy", "speed"}


def test_a_page_needs_one_arm(results):
    for path in {*results.glob("*.csv")} - {results / "control.csv"}:
        path.unlink()
    assert "- Arms: 30 repeats" in pages.results_page(results)
    (results / "control.csv").unlink()
    with pytest.raises(InputError, match="has no tables to report on"):
        pages.results_page(results)


def test_text_from_the_data_is_shown_as_it_is(results):
    data = store.read_metadata(results, "baseline")["data"] | {"file": HOSTILE}
    rewrite(results, "baseline", data=data)
    comparison = pd.read_csv(results / "comparison.csv")
    control = (comparison["first"] == "control") & (comparison["second"] == "svc")
    comparison.loc[control, "first"] = HOSTILE
    rewrite(results, "comparison", comparison)
    metadata = store.read_metadata(results, "tuned")
    metadata["candidates"][metadata["best"]] |= {"mlp__model__" + HOSTILE: HOSTILE}
    rewrite(results, "tuned", candidates=metadata["candidates"])
    page = pages.results_page(results)
    assert "<img" not in page
    assert "\x1b" not in page
    text = text_of(page)
    assert f"Dataset: {SHOWN}, 208 rows" in text
    assert f"{SHOWN} − svc" in text
    assert f", {SHOWN} {SHOWN}." in text
    line = pages.tuning_summary(results)[-1]
    assert line.isprintable()
    assert " ".join(line.split()).endswith(f", {SHOWN} {SHOWN}.")


@given(st.text() | st.text("`*_[]()<>&|~#!-+.:/\\ \n\"'aw1"))
def test_any_text_is_shown_as_it_is(text):
    page = "| a |\n|---|\n| x {{ t }} y {{ t|code }} z {{ t|em }} |\n\nx {{ t }} y {{ t|code }} z\n"
    shown = text_of(pages._markdown().from_string(page).render(t=text))
    t = pages.printable(text).strip()
    assert shown == " ".join(f"a x {t} y {t} z {t or '?'} x {t} y {t} z".split())


def test_markers_are_filled_and_must_exist():
    page = "a\n<!-- x -->\nold\n<!-- /x -->\nb\n"
    assert pages.fill(page, {"x": "new \\1\n"}) == "a\n<!-- x -->\nnew \\1\n<!-- /x -->\nb\n"
    with pytest.raises(InputError, match="markers"):
        pages.fill(page, {"y": ""})


def test_the_report_writes_claims_and_page_from_one_dataset_and_overwrites_only_its_own(
    results, capsys
):
    page = results / "README.md"
    for _ in range(2):
        report.write_report(results)
        assert capsys.readouterr().out.count("written:") == 2
        assert page.read_text() == pages.results_page(results)
        assert list(store.read_table(results, "claims")) == list(TABLES["claims"].columns)
    page.write_text("mine")
    with pytest.raises(InputError, match="is not a generated page"):
        report.write_report(results)
    assert page.read_text() == "mine"
    rewrite(results, "tips", data=store.read_metadata(results, "tips")["data"] | {"sha256": "0"})
    with pytest.raises(InputError, match="are of different datasets"):
        report.write_report(results)

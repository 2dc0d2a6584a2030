"""Report: write results/README.md, and the generated parts of README.md, out of the tables.

$ make report
  written:   results/claims.csv
  written:   results/README.md
  written:   README.md
"""

from pathlib import Path

from experiments.harness.options import (
    ALL_BUT_RESULTS,
    add_experiment_options,
    answer_mistakes,
    script_parser,
)

REPOSITORY = Path(__file__).parents[1]


def main(argv=None):
    """Write the pages."""
    parser = script_parser("report", __doc__)
    add_experiment_options(parser, leave_out=ALL_BUT_RESULTS)
    options = parser.parse_args(argv)
    answer_mistakes("report", lambda: _report(options.results))


def _report(results):
    from experiments.harness.files import locked

    with locked(results):
        _write_all(results)


def _write_all(results):
    import pandas as pd

    from experiments.harness import report, tables
    from experiments.harness.claims import settle, settle_tips
    from experiments.harness.comparison import check_together

    report.check_tables(results)
    check_together(results)
    arms = tables.read_arms(results)
    written = []
    origin = {}
    if (results / "comparison.csv").exists():
        origin["comparison"] = tables.read_record(results, "comparison")
        published = tables.read_published(origin["comparison"]["data"]["sha256"])
    if origin and len(published):  # the claims are of the Sonar data
        claims = settle(arms, tables.read_table(results, "comparison"), published)
        if (results / "tips-comparison.csv").exists():
            tips = settle_tips(tables.read_table(results, "tips-comparison"))
            claims = pd.concat([claims, tips], ignore_index=True)
            origin["tips-comparison"] = tables.read_record(results, "tips-comparison")
        written.append(tables.write_table(results, "claims", claims, origin))
    written.append(tables.write_page(results / "README.md", report.results_page(results)))
    if results.resolve() == REPOSITORY / "results":  # the main page speaks of these only
        readme = REPOSITORY / "README.md"
        page = report.fill(readme.read_text(encoding="utf-8"), report.readme_parts(results))
        written.append(tables.write_page(readme, page))
    for path in written:
        print(f"  written:   {path}")


if __name__ == "__main__":
    main()

"""Report: write results/README.md, and the generated parts of README.md, out of the tables.

$ make report
  written:   results/claims.csv
  written:   results/README.md
  written:   README.md
"""

from pathlib import Path

from experiments.harness.cli import (
    ALL_BUT_RESULTS,
    add_experiment_options,
    answer_mistakes,
    script_parser,
)
from experiments.harness.errors import InputError

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

    from experiments.foldstack.comparison import check_together
    from experiments.harness import store as tables
    from experiments.reporting import pages as report
    from experiments.reporting.claims import settle, settle_tips

    report.check_tables(results)
    check_together(results)
    arms = tables.read_arms(results)
    frames, origin = {}, {}
    if (results / "comparison.csv").exists():
        origin["comparison"] = tables.read_record(results, "comparison")
        published = tables.read_published(origin["comparison"]["data"]["sha256"])
    if origin and len(published):  # the claims are of the Sonar data
        claims = settle(arms, tables.read_table(results, "comparison"), published)
        if (results / "tips-comparison.csv").exists():
            tips = settle_tips(tables.read_table(results, "tips-comparison"))
            claims = pd.concat([claims, tips], ignore_index=True)
            origin["tips-comparison"] = tables.read_record(results, "tips-comparison")
        frames["claims"] = claims
    claims = tables.csv_round_trip(claims) if frames else None
    page = report.results_page(results, claims)
    own = results / "README.md"
    if own.exists() and report.GENERATED not in own.read_text(encoding="utf-8", errors="replace"):
        raise InputError(f"{own} was not made by this command; move it, or say another --results")
    readme = REPOSITORY / "README.md"
    main_page = None
    if results.resolve() == REPOSITORY / "results":  # the main page speaks of these only
        try:
            before = readme.read_text(encoding="utf-8")
        except OSError as error:
            raise InputError(f"cannot read {readme}: {error.strerror}") from error
        main_page = report.fill(before, report.readme_parts(results, claims))

    files = {own.name: page.encode()}
    if frames:
        print(f"  written:   {tables.write_tables(results, frames, origin, files)}")
    else:
        tables.write_page(own, page)
    print(f"  written:   {own}")
    if main_page is not None:
        print(f"  written:   {tables.write_page(readme, main_page)}")


if __name__ == "__main__":
    main()

"""Report: write results/README.md and the generated part of README.md from the result tables.

The tutorial's claims are judged as well, and the verdicts are written to results/claims.csv.
results/report.html is the same page with its figures, in one file. README.md is updated only
from the repository's own results/.

    $ make report
      written:   results/claims.csv
      written:   results/README.md
      written:   results/report.html
      written:   README.md
"""

from experiments.harness import cli, files, store
from experiments.harness.errors import InputError
from experiments.reporting import findings, gallery, pages
from experiments.reporting.html import to_html


def write_report(options):
    """Write the claims and the pages, and print their paths."""
    results = options.results
    page = results / "README.md"
    with files.locked(results):
        with store.combining(results):
            findings.check_tables(results)
            figures = gallery.draw(results)
            drawn = {path.stem for path in (results / "figures").glob("*.png")}
            claims, metadata = findings.judge(results)
            found = findings.collect(results, claims)
            html = to_html(pages.results_page(found, figures), figures)
            contents = {page.name: pages.results_page(found, drawn), "report.html": html}
            readme = _render_readme(results, found)
        if claims is None:
            files.write_together(results, contents)
        else:
            table = store.write_tables(results, {"claims": claims}, metadata, contents)
            print(f"  written:   {table}")
        print(f"  written:   {page}", f"  written:   {results / 'report.html'}", sep="\n")
        if readme is not None:
            files.write_together(files.REPOSITORY, {"README.md": readme})
            print(f"  written:   {files.REPOSITORY / 'README.md'}")


def _render_readme(results, found):
    """Return the updated main page; None for a results folder elsewhere."""
    if results.resolve() != files.REPOSITORY / "results":
        return None
    readme = files.REPOSITORY / "README.md"
    try:
        return pages.fill(readme.read_text("utf-8"), pages.readme_parts(found))
    except OSError as error:
        raise InputError(f"cannot read {readme}: {error.strerror}") from error


main = cli.script("report", __doc__, write_report)

if __name__ == "__main__":
    main()

"""Figures: draw the result tables into results/figures/, each as PNG and SVG.

$ make figures
  written:   results/figures/accuracy.png and .svg
  ...
"""

from experiments.harness import cli, files, store
from experiments.reporting import gallery, style


def draw_figures(options):
    """Draw every figure whose tables exist, and print the paths."""
    results, contents = options.results, {}
    with files.locked(results):
        store.check_comparison_current(results)
        with store.combining(results):
            drawn = gallery.draw(results)
            for name, figure in drawn.items():
                contents |= style.to_files(figure, name)
        if not drawn:
            print(f"nothing to draw in {results}; run `make compare` first")
            return
        files.check_folder(results / "figures")
        files.write_together(results / "figures", contents)
    for name in drawn:
        print(f"  written:   {results / 'figures' / name}.png and .svg")


main = cli.script("figures", __doc__, draw_figures)

if __name__ == "__main__":
    main()

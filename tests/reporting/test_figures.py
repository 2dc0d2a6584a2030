"""Every figure is drawn from its tables."""

from experiments import figures
from experiments.harness import store
from experiments.reporting import gallery


def test_figures_are_drawn_for_all_tables_and_the_same_every_time(results, capsys):
    names = {path.name for path in (results / "figures").iterdir()}
    drawings = []
    for _ in range(2):
        figures.draw_figures(results)
        assert capsys.readouterr().out.count("written:") == 11
        drawings.append({name: (results / "figures" / name).read_bytes() for name in names})
    assert len(names) == 22
    assert drawings[0] == drawings[1]


def test_a_figure_for_every_tip_has_a_line_for_each_value(converted):
    drawn = gallery.draw_tips(store.read_table(converted, "tips"))
    assert sorted(drawn) == [f"tip{number}" for number in range(1, 6)]
    lines = [len(figure.axes[0].containers) for _, figure in sorted(drawn.items())]
    assert lines == [3, 3, 1, 4, 1]

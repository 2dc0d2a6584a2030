"""How figures look, and how they become files."""

import io

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.harness.files import WRITER

# Dark and light of two hues that stay apart in grey and to the colour-blind (Okabe and Ito).
DARK, LIGHT, GREY = "#0072B2", "#E69F00", "#666666"
# Of these hues each arm has one; in grey they are dark, middle and light.
ARM_COLOURS = {"visible": DARK, "baseline": LIGHT, "hidden": "#D9D9D9", "tie": "white"}
ARM_LABELS = {
    "baseline": "no dropout",
    "visible": "20% dropout on the inputs",
    "hidden": "20% dropout on the hidden layers",
    "control": "control: the same without dropout",
}
LINES = [("-", "o", DARK), ("--", "s", LIGHT), (":", "D", "black"), ("-.", "^", "#009E73")]
STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "svg.hashsalt": "sonar-dropout",  # the same figure, the same bytes
    "svg.fonttype": "none",
}


def to_files(figure: Figure, name: str) -> dict[str, bytes | str]:
    """Return a figure's PNG and SVG by the files' names; equal figures give equal bytes."""
    png = io.BytesIO()
    with plt.rc_context(STYLE):
        figure.savefig(png, format="png", dpi=160, metadata={"Software": WRITER})
    return {f"{name}.png": png.getvalue(), f"{name}.svg": to_svg(figure)}


def to_svg(figure: Figure) -> str:
    """Return a figure as SVG and close it."""
    svg = io.StringIO()
    with plt.rc_context(STYLE):
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": WRITER})
    plt.close(figure)
    return svg.getvalue()


def handle(label: str, **style) -> Line2D:
    """Return an entry of a legend."""
    return Line2D([], [], label=label, **style)


def with_legend(figure: Figure, handles=None, **style) -> Figure:
    """Add a legend above the panels, by default of what the first panel shows."""
    if handles is None:
        handles, _ = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles=handles, loc="outside upper left", **style)
    return figure

"""Turn a page in Markdown and its figures into one self-contained HTML page."""

import re
from collections.abc import Mapping
from html import escape
from pathlib import Path

from markdown_it import MarkdownIt
from matplotlib.figure import Figure

from experiments.reporting.style import to_svg

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="sonar-dropout">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ margin: 2rem auto; max-width: 56rem; padding: 0 1rem; line-height: 1.5;
  font-family: system-ui, sans-serif; overflow-wrap: anywhere; }}
.table {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; overflow-wrap: normal; }}
th, td {{ border-bottom: 1px solid #8886; padding: 0.3rem 0.8rem 0.3rem 0; text-align: left; }}
summary {{ cursor: pointer; padding: 0.2rem 0; }}
svg {{ background: white; border-radius: 0.3rem; height: auto; max-width: 100%; }}
</style>
</head>
<body>
{body}</body>
</html>
"""


def to_html(page: str, figures: Mapping[str, Figure]) -> str:
    """Render a page; each image is replaced by the figure that has its file's name."""
    markdown = MarkdownIt("commonmark").enable("table")

    def image(renderer, tokens, index, options, environment):
        token = tokens[index]
        name, text = Path(token.attrs["src"]).stem, token.children or []
        label = escape(renderer.renderInlineAsText(text, options, environment))
        return _inline(to_svg(figures[name]), name, label)

    markdown.add_render_rule("image", image)
    body = markdown.render(page)
    body = body.replace("<table>", '<div class="table"><table>')
    body = body.replace("</table>", "</table></div>")
    body = re.sub("<h2>(.*?)</h2>", _with_id, body)
    title = re.search(r"<h1>(.*?)</h1>", body)
    return PAGE.format(title=f"{title[1]} · sonar-dropout" if title else "sonar-dropout", body=body)


def _with_id(heading):
    """Return a heading with the id by which GitHub would link to it."""
    words = re.sub(r"<[^>]*>|[^\w\s-]", "", heading[1]).lower().split()
    return f'<h2 id="{"-".join(words)}">{heading[1]}</h2>'


def _inline(svg, name, label):
    """Return the SVG element alone; its ids become unique on the page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    return svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1).strip()

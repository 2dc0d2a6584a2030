"""A page in HTML is self-contained, and shows text from the data as text."""

import re
from html.parser import HTMLParser

import matplotlib.pyplot as plt

from experiments.reporting.html import to_html
from experiments.reporting.pages import escape_markdown
from experiments.reporting.style import STYLE


class Elements(HTMLParser):
    """The elements of a page, with their attributes."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        """Keep an element."""
        self.found.append((tag, dict(attributes)))

    handle_startendtag = handle_starttag


def page(text):
    figures = {}
    for name in ("one", "two"):
        with plt.rc_context(STYLE):
            figures[name], axes = plt.subplots()
            axes.plot([1, 2])
    return to_html(text, figures)


def test_figures_stand_on_the_page_with_a_text_and_ids_of_their_own():
    html = page("# Tuning\n\n![First & best](figures/one.png)\n\n![Second](figures/two.png)\n")
    elements = Elements(html).found
    labels = [attributes["aria-label"] for tag, attributes in elements if tag == "svg"]
    assert labels == ["First & best", "Second"]
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids)) > 10
    assert set(re.findall(r"url\(#([^)]*)\)", html)) <= set(ids)
    tags = {tag for tag, _ in elements}
    assert not tags & {"img", "link", "script", "iframe"}
    assert "@import" not in html
    assert "<title>Tuning · sonar-dropout</title>" in html


def test_text_from_the_data_is_text():
    name = "<script>alert(1)</script> | *bold* ![x](y)"
    html = page(f"# {escape_markdown(name)}\n\n| a |\n|---|\n| {escape_markdown(name)} |\n")
    elements = [tag for tag, _ in Elements(html).found]
    assert elements.count("td") == 1
    assert not {"script", "em", "img", "svg"} & set(elements)

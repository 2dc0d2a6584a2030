"""Render findings into pages and terminal lines; the words stand in ``templates/``.

Whatever a template prints is escaped, unless a filter or a macro made it. Text from the data
(file names, column names, classes, candidates) therefore appears as text, never as Markdown
or HTML, and brings no control characters to a terminal.
"""

import re
from collections.abc import Collection, Mapping
from numbers import Real
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from pandas import DataFrame

from experiments.harness.errors import InputError
from experiments.harness.files import GENERATED
from experiments.reporting import findings

MARKDOWN = re.compile(
    r"[\\`*\[\]<>&|~$#@\"]"
    r"|(?<![^\W_])_|_(?![^\W_])"  # an underscore within a word is no emphasis
    r"|:(?=//)|(?<=www)\.|^[-+](?=\s)|(?<=\d)[.)](?=\s)",
    re.IGNORECASE,
)
PLAIN_CODE = re.compile(r"[\w./:=+, ()-]+")


def results_page(found: Mapping, figures: Collection[str]) -> str:
    """Return the page results/README.md of what `findings.collect` returns, with these figures."""
    return _markdown().get_template("results.md.j2").render(found, figures=figures)


def readme_parts(found: Mapping) -> dict[str, str]:
    """Return the generated part of the main README.md by name, if its tables exist."""
    if found["answers"] is None:
        return {}
    return {"front": _markdown().get_template("front.md.j2").render(found)}


def fill(page: str, parts: dict[str, str]) -> str:
    """Replace the text between ``<!-- name -->`` and ``<!-- /name -->``, which must exist."""
    for name, text in parts.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not pattern.search(page):
            raise InputError(f"README.md lacks the markers <!-- {name} --> and <!-- /{name} -->")
        page = pattern.sub(lambda match, text=text: match[1] + text + match[2], page)
    return page


def comparison_summary(comparison: DataFrame) -> list[str]:
    """Return the comparisons of the table ``comparison`` in lines for the terminal."""
    return _lines("comparison.j2", pairs=findings.records(comparison))


def tuning_summary(tuning: Mapping) -> list[str]:
    """Return what tuning found, a sentence per line, for the terminal."""
    return _lines("tuning.j2", tuning=tuning)


def tuning_page(tuning: Mapping, figures: Collection[str]) -> str:
    """Return a page in Markdown on what tuning found, with the figures of these names."""
    return _markdown().get_template("tuning_page.md.j2").render(tuning=tuning, figures=figures)


def dropout_modes_summary(folder: Path) -> list[str]:
    """Return what `make evaluation` observed, a sentence per line, for the terminal."""
    return _lines("dropout_modes.j2", dropout_modes=findings.dropout_modes(folder))


def tips_summary(folder: Path) -> list[str]:
    """Return the verdicts on the tips, a claim per line, for the terminal."""
    return _lines("tips_summary.j2", **findings.tip_claims(folder))


def escape_markdown(text: str) -> Markup:
    """Escape text so that Markdown, HTML and table cells show it as it is, in one line."""
    return Markup(MARKDOWN.sub(lambda match: f"&#{ord(match[0])};", without_unprintable(text)))


def without_unprintable(text: str) -> str:
    """Replace line breaks and other characters that cannot be printed by spaces."""
    return "".join(character if character.isprintable() else " " for character in text)


def _markdown():
    return _environment(escape_markdown, code=_code, emphasised="*{}*", autoescape=True)


def _lines(template, **found):
    environment = _environment(without_unprintable, code=without_unprintable, emphasised="{}")
    return environment.get_template(template).render(found).splitlines()


def _environment(escape, code, emphasised, autoescape=False):
    """Return an environment that passes every string from the data through `escape`."""

    def finalize(value):
        return escape(value) if isinstance(value, str) and not hasattr(value, "__html__") else value

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined,
        finalize=finalize,
        autoescape=autoescape,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "fmt": _format_number,
        "p": lambda value: Markup("< 0.001" if value < 0.001 else f"{value:.3f}"),
        "em": lambda value: Markup(emphasised.format(finalize(value).strip() or "?")),
        "code": code,
    }
    environment.globals["GENERATED"] = Markup(GENERATED)
    return environment


def _format_number(value, specification):
    if not isinstance(value, Real):
        raise TypeError(f"{value!r} is not a number")
    return Markup(format(value, specification))


def _code(text):
    """Return a code span; `<code>` if the text has characters that a span cannot hold."""
    if PLAIN_CODE.fullmatch(text):
        return Markup(f"`{text}`")
    return Markup(f"<code>{escape_markdown(text)}</code>")

"""The page: one HTML file that needs no network, no server and no other file.

plotly.js (about 4.8 MB, the bulk of the file) is written into it once; a content security policy in
its head forbids every request. The text, the tables and their numbers are there without scripts.
"""

from importlib.resources import files
from string import Template

from plotly.offline import get_plotlyjs

from seqarena import __version__
from seqarena.core.records import RunView
from seqarena.report.answer import answer_section, costs_section, ranking_section
from seqarena.report.markup import Markup, element, join, script_json
from seqarena.report.story import complexity_section, curves_section, run_section
from seqarena.report.style import ROLES, css, dark_of_light


def render_html(view: RunView) -> str:
    """The whole page of a run, ranked or not yet."""
    sections = [
        section
        for section in (
            answer_section(view),
            ranking_section(view),
            costs_section(view),
            curves_section(view),
            complexity_section(view),
            run_section(view),
        )
        if section is not None
    ]
    figures = [figure for section in sections for figure in section.figures]
    links = [element("a", section.link, href=f"#{section.name}") for section in sections]
    bar = element(
        "header",
        element("strong", "seqarena"),
        element("nav", *links, aria_label="Parts of this page"),
        element("button", "Dark", type="button", id="theme"),
        class_="bar",
    )
    main = element("main", *(section.html for section in sections))
    foot = element("footer", f"Made by seqarena {__version__}. This file loads nothing.")
    data = [script_json(dark_of_light(), id="dark-of-light")]
    data += [script_json(figure.drawn.to_json(), id=f"figure-{figure.name}") for figure in figures]
    return Template(_read("page.html")).substitute(
        version=__version__,
        title=join([f"{view.name} – seqarena"]),
        colours=_colours(),
        css=_read("page.css"),
        body=join([bar, main, foot]),
        data=join(data),
        plotly=get_plotlyjs(),
        script=_read("page.js"),
    )


def _colours() -> Markup:
    variables = "".join(f"--{role}:{css(colour)};" for role, colour in ROLES.items())
    return Markup(f":root{{{variables}}}")


def _read(name: str) -> str:
    return files("seqarena.report").joinpath(name).read_text(encoding="utf-8")

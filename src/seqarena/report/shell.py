"""The page round its sections: bar, styles, scripts and data in one HTML file.

plotly.js (about 4.8 MB, the bulk of the file) is written into it once; a content security policy in
its head forbids every request. The text, the tables and their numbers are there without scripts.
A served page may talk to the server it came from, and to nothing else.
"""

from collections.abc import Iterable
from importlib.resources import files
from string import Template

from plotly.offline import get_plotlyjs

from seqarena.core.version import __version__
from seqarena.report.markup import Markup, element, join, script_json
from seqarena.report.sections import Section
from seqarena.report.style import ROLES, css, dark_of_light


def page_html(name: str, sections: Iterable[Section | None], *, served: bool = False) -> str:
    """The whole page; a section that is None is left out. The first is named "answer".

    `served`: the page follows its folder and may send a sentence to its server (cli/serve.py).
    """
    present = [section for section in sections if section is not None]
    figures = [figure for section in present for figure in section.figures]
    links = [element("a", section.link, href=f"#{section.name}") for section in present]
    bar = element(
        "header",
        element("strong", "seqarena"),
        element("nav", *links, aria_label="Parts of this page"),
        element("button", "Dark", type="button", id="theme"),
        class_="bar",
    )
    main = element("main", *(section.html for section in present))
    source = "This page is served from its folder." if served else "This file loads nothing."
    foot = element("footer", f"Made by seqarena {__version__}. {source}")
    data = [script_json(dark_of_light(), id="dark-of-light")]
    data += [script_json(figure.drawn.to_json(), id=f"figure-{figure.name}") for figure in figures]
    scripts = ["page.js", "explorer.js"] + (["served.js"] if served else [])
    return Template(_read("page.html")).substitute(
        version=__version__,
        title=join([f"{name} – seqarena"]),
        connect="connect-src 'self'; " if served else "",
        colours=_colours(),
        css=_read("page.css") + _read("measured.css"),
        body=join([bar, main, foot]),
        data=join(data),
        plotly=get_plotlyjs(),
        script="\n".join(_read(script) for script in scripts),
    )


def _colours() -> Markup:
    variables = "".join(f"--{role}:{css(colour)};" for role, colour in ROLES.items())
    return Markup(f":root{{{variables}}}")


def _read(name: str) -> str:
    return files("seqarena.report").joinpath(name).read_text(encoding="utf-8")

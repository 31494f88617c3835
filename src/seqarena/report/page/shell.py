"""Draws a page: one HTML file that holds its styles, its scripts and its data.

The file contains plotly.js (about 4.8 MB, most of its size). A content security policy in its head
forbids every request. The text, the tables and their numbers are readable without scripts. A served
page may send requests to its own server only.
"""

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from seqarena.core.version import __version__
from seqarena.report.page.parts import Page
from seqarena.report.page.style import ROLES, css, dark_of_light

_PACKAGE = "seqarena.report.page"
_STYLES = ("page.css", "measured.css")
_SCRIPTS = ("page.js", "save.js", "explorer.js")


def render(page: Page) -> str:
    """The page as the text of one HTML file."""
    scripts = [*_SCRIPTS, "served.js"] if page.served else [*_SCRIPTS]
    scripts += [name for section in page.sections for name in section.scripts]
    styles = [*_STYLES, *(name for section in page.sections for name in section.styles)]
    template = environment().get_template("page.html")
    return template.render(
        page=page,
        version=__version__,
        colours={role: css(colour) for role, colour in ROLES.items()},
        picture=ROLES["paper"].light,
        dark_of_light=dark_of_light(),
        styles=_package_text("css", styles),
        scripts=_package_text("js", scripts),
        plotly=Markup(get_plotlyjs()),
    )


def script_json(value: Any) -> Markup:
    """JSON that is safe inside a script element: no character of it can end the element.

    `value` is a JSON text (str) or anything that json.dumps accepts.
    """
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=True)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


@cache
def environment() -> Environment:
    """The templates of the package. Every text is escaped; a missing value is an error."""
    made = Environment(
        loader=PackageLoader(_PACKAGE, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["script_json"] = script_json
    made.filters["script_text"] = lambda text: script_json(json.dumps(text))
    return made


def _package_text(folder: str, names: Sequence[str]) -> Markup:
    """The styles or scripts of the package, which are trusted and not escaped."""
    place = files(_PACKAGE).joinpath(folder)
    return Markup("\n".join(place.joinpath(name).read_text(encoding="utf-8") for name in names))

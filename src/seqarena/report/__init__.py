"""The report: terminal tables, figures and one offline page, drawn from records only."""

from seqarena.core.doors import make_callable

make_callable(__name__)

"""Models: blocks stacked into language models and encoders; the catalog is the only registry."""

from seqarena.core.doors import make_callable

make_callable(__name__)

"""What is served to a browser or a program: a folder's page, a trained model."""

from seqarena.core.doors import make_callable

make_callable(__name__)

"""`python -m seqarena` is the console script."""

from seqarena.cli import main

if __name__ == "__main__":
    main()

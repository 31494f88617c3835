"""The page of a run: its ranking, its costs, its curves and how it was made."""

"""Sequence mixers, one file each: they mix along time, see `x_BTD` and nothing else."""

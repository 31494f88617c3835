"""Files of data: which belong to which split, how they are opened, and tables in every format."""

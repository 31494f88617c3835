"""C99 from the graph of one step."""

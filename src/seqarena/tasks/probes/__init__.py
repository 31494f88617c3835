"""Generated tasks, each of which asks for one ability."""

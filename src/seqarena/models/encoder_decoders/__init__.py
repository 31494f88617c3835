"""Systems that write one sequence from another."""

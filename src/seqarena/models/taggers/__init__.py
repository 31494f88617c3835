"""Systems that give every word a tag."""

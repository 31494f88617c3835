"""Systems that read whole sentences and give one label."""

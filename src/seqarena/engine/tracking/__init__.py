"""What a run says while it trains, handed to the user's own tracker: `--track`."""

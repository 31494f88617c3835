"""What trained models answer to a few examples of the test split."""

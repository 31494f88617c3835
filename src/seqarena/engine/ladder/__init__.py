"""`forecast`: planning a ladder, training it, and reading what it says."""

"""The page of claims: what the literature says, and what the measurements say."""

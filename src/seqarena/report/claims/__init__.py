"""The page of claims: what the literature claims, and what was measured."""

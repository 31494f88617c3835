"""Pure tensor functions. An operation has a slow truth and fast forms, under one name each."""

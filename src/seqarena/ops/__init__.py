"""Pure tensor functions: each fast form stands beside its slow truth under one name."""

"""How information and gradients flow: through time, layers and words."""

"""How information and gradients flow: through time, layers and words."""

SENTENCE = "The cat sat on the mat because it was comfortable"  # that the introductory texts show

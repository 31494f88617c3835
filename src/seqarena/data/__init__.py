"""From a path to integers: corpora, splits, tokenizers, and windows in a resumable order."""

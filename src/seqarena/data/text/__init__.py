"""Text: corpora, tokenizers, labelled and tagged sentences, pairs, stories."""

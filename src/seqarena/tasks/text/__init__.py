"""Tasks on text: language, classification, tagging, pairs, questions."""

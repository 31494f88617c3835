"""Files of sentences whose words carry tags: columns as CoNLL has them, and tables."""

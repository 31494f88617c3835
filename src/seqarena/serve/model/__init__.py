"""A trained model over HTTP: `seqarena serve RUN` (docs/serve.md)."""

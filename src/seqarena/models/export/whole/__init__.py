"""Models in other forms: ONNX, torch.export and C, from the graph of one step (docs/export.md)."""

"""Models in other forms: ONNX, torch.export and C, all from the graph of one step (docs/export.md)."""

"""What a model has to beat: answers that cost seconds and no training."""

"""Windows of many numbers a step, with a label or a number each."""

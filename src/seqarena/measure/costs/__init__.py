"""What models cost: time, memory, and how both grow with the length."""

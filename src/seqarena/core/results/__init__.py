"""What is found: records of trials, measurements, quantities, verdicts."""

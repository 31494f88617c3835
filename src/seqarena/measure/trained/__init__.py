"""What short trainings show: recall, length generalisation, experiments of claims."""

"""The claims themselves: words, experiment, criterion and judge of each."""

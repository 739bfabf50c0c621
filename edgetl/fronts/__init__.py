"""From a file to what a network takes, one folder per kind of input."""

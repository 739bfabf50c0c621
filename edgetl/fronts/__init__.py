"""Turns files into network inputs, one folder per kind of input."""

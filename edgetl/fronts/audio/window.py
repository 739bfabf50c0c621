"""A clip of any length -> exactly the samples that the network hears. The C++ runtime repeats `centered` to the bit.

A clip of n samples, a window of s: if n >= s, keep s samples from (n - s) // 2, else the clip begins at (s - n) // 2
and the rest is zero. `//` rounds down: of an odd difference the smaller half comes first.
"""

"""int16 samples from one rate to another by a table of integers. The C++ runtime repeats `resample` to the bit.

With g = gcd(from_hz, to_hz), L = to_hz / g and M = from_hz / g, output sample n lies at the time n * M / L of the
input, in input samples; there is no delay. A clip of N samples becomes ceil(N * L / M). The table is int16 (L, T),
Q15, T even:

    i, p = divmod(n * M, L)                                                 in int64
    y[n] = [(sum over k of table[p, k] * x[i - T/2 + 1 + k] + 16384) >> 15]   k = 0 .. T-1, the sum in int64

x is 0 outside the clip, `>>` rounds down (arithmetic shift), [v] saturates v to -32768..32767. If L = M = 1 there is no
table and samples stay as they are.

Only the table needs floats, when it is made (`design`): it travels with the network as `resampler.npy`, so that Python
and C++ use the same integers.
"""

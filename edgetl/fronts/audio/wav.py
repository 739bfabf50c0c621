"""RIFF/WAVE files -> int16 samples, mono. These rules are the specification that the C++ reader repeats to the bit.

All numbers in the file are little-endian. Limits: a file of at most 1,000,000,000 bytes.

Chunks. Bytes 0-3 are `RIFF`, 8-11 `WAVE`; the size in 4-7 is ignored, since streams leave it wrong. Chunks follow from
byte 12: four bytes of name, uint32 size, content; the next one begins after the content, one byte later if the size is
odd. The walk ends at the first `data`; what follows it is ignored. Before it there must be exactly one `fmt `; chunks
of other names are skipped. A chunk (other than `data`) that ends after the file, a second `fmt ` and a file without
`data` are refused.

Format, the content of `fmt `, at least 16 bytes: uint16 tag, uint16 channels (1 to 16), uint32 rate (1,000 to 192,000),
uint32 bytes per second (ignored), uint16 bytes per frame (channels * bits / 8, else refused), uint16 bits. If the tag
is 0xFFFE (WAVE_FORMAT_EXTENSIBLE), the content has at least 40 bytes and the tag is the uint16 at 24, which the bytes
00 00 00 00 10 00 80 00 00 AA 00 38 9B 71 must follow; number of valid bits and channel mask are ignored.
Read are tag 1 (integers) with 8, 16, 24 or 32 bits, and tag 3 (IEEE floats) with 32 bits.

Size of `data`. 0x7FFFF000 or more is the placeholder of a writer that could not go back to the header (0xFFFFFFFF of
ffmpeg, 0x7FFFF000 of sox, 0x80000000 of arecord): samples reach to the end of the file, and the rest of a last frame is
dropped. Any other size must be a multiple of the bytes per frame and end within the file (else the file is truncated).
No samples at all are refused.

Values, each to int16; `>>` rounds down (arithmetic shift), [x] saturates x to -32768..32767:
    8 bits    unsigned: (v - 128) * 256
    16 bits   v
    24 bits   [(v + 128) >> 8]
    32 bits   [(v + 32768) >> 16], the sum in int64
    floats    [floor(32768 * f + 0.5)], in float64. NaN, infinite values and |f| > 8 are refused: full scale is 1.

Channels. The mean of the c int16 values of a frame with sum s, rounded half up: floor((2 * s + c) / (2 * c)).
"""

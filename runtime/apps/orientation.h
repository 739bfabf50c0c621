// Which way up a picture is: EXIF tag 274 (EXIF 2.32), or XMP's tiff:Orientation where there is no such tag.
#pragma once

#include <cstddef>
#include <cstdint>

namespace edgetl {

constexpr int upright = 1;  // orientations are 1..8
constexpr int no_orientation = 0;

// `tiff` is an EXIF block without its "Exif\0\0". `no_orientation` when the tag is missing, `upright` when the block is
// damaged or the value no orientation.
int exif_orientation(const uint8_t* tiff, size_t bytes);

// From an XMP packet; `upright` when it says nothing.
int xmp_orientation(const char* xmp, size_t bytes);

// Copies uint8 RGB (height, width, 3) to `out`, which is (width, height, 3) for orientations 5..8.
void turn_upright(const uint8_t* rgb, int32_t width, int32_t height, int orientation, uint8_t* out);

}  // namespace edgetl

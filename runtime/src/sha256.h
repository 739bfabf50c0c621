// SHA-256 (FIPS 180-4), with the CPU's own instructions where it has them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace edgetl {

using Digest = std::array<uint8_t, 32>;

enum class Sha256Code { portable, x86_sha, arm_sha2 };

// Whether this library holds the code and this CPU runs it.
bool sha256_available(Sha256Code code);

// With the fastest code that is available.
Digest sha256(const uint8_t* data, size_t bytes);

// With this code, which must be available.
Digest sha256_with(Sha256Code code, const uint8_t* data, size_t bytes);

// 64 lower-case digits and a zero.
void write_hex(const Digest& digest, char (&text)[65]);

}  // namespace edgetl

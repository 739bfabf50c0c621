#include "sha256.h"

#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#define EDGETL_SHA_X86 1
#endif

// Before version 16, clang's arm_neon.h hides the intrinsics unless the whole file is compiled for them.
#if defined(__aarch64__) && defined(__linux__) && (!defined(__clang__) || defined(__ARM_FEATURE_SHA2))
#include <arm_neon.h>
#include <sys/auxv.h>
#define EDGETL_SHA_ARM 1
#endif

namespace edgetl {
namespace {

constexpr size_t block_bytes = 64;

using Compress = void (*)(uint32_t* state, const uint8_t* blocks, size_t count);

alignas(16) constexpr uint32_t round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

uint32_t load_big_endian(const uint8_t* p) {
  return uint32_t{p[0]} << 24 | uint32_t{p[1]} << 16 | uint32_t{p[2]} << 8 | uint32_t{p[3]};
}

uint32_t rotate(uint32_t x, unsigned bits) { return x >> bits | x << (32 - bits); }

void expand_schedule(const uint8_t* block, uint32_t (&w)[64]) {
  for (size_t t = 0; t < 16; ++t) w[t] = load_big_endian(block + 4 * t);
  for (size_t t = 16; t < 64; ++t) {
    const uint32_t s0 = rotate(w[t - 15], 7) ^ rotate(w[t - 15], 18) ^ w[t - 15] >> 3;
    const uint32_t s1 = rotate(w[t - 2], 17) ^ rotate(w[t - 2], 19) ^ w[t - 2] >> 10;
    w[t] = w[t - 16] + s0 + w[t - 7] + s1;
  }
}

void compress_block(uint32_t* state, const uint8_t* block) {
  uint32_t w[64];
  expand_schedule(block, w);
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
  uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
  for (size_t t = 0; t < 64; ++t) {
    const uint32_t sum1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
    const uint32_t sum0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
    const uint32_t first = h + sum1 + ((e & f) ^ (~e & g)) + round_constants[t] + w[t];
    const uint32_t second = sum0 + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + first;
    d = c, c = b, b = a, a = first + second;
  }
  const uint32_t added[8] = {a, b, c, d, e, f, g, h};
  for (size_t i = 0; i < 8; ++i) state[i] += added[i];
}

void compress_portable(uint32_t* state, const uint8_t* blocks, size_t count) {
  for (size_t i = 0; i < count; ++i) compress_block(state, blocks + i * block_bytes);
}

#if defined(EDGETL_SHA_X86)

#define EDGETL_TARGET_SHA __attribute__((target("sha,sse4.1,ssse3")))

bool x86_has_sha() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0) return false;
  const bool sse = (c >> 9 & 1) != 0 && (c >> 19 & 1) != 0;
  return sse && __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b >> 29 & 1) != 0;
}

struct X86State {
  __m128i abef, cdgh;
};

// Four rounds with the schedule's words `w`.
EDGETL_TARGET_SHA inline void four_rounds(X86State& s, __m128i w, const uint32_t* constants) {
  const __m128i sum = _mm_add_epi32(w, _mm_load_si128(reinterpret_cast<const __m128i*>(constants)));
  s.cdgh = _mm_sha256rnds2_epu32(s.cdgh, s.abef, sum);
  s.abef = _mm_sha256rnds2_epu32(s.abef, s.cdgh, _mm_shuffle_epi32(sum, 0x0E));
}

// The four words of the schedule behind w0 .. w3.
EDGETL_TARGET_SHA inline __m128i next_words(__m128i w0, __m128i w1, __m128i w2, __m128i w3) {
  const __m128i partial = _mm_add_epi32(_mm_sha256msg1_epu32(w0, w1), _mm_alignr_epi8(w3, w2, 4));
  return _mm_sha256msg2_epu32(partial, w3);
}

EDGETL_TARGET_SHA inline __m128i load_words(const uint8_t* p) {
  const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  return _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)), swap);
}

EDGETL_TARGET_SHA void x86_block(X86State& s, const uint8_t* block) {
  const X86State before = s;
  __m128i w0 = load_words(block), w1 = load_words(block + 16);
  __m128i w2 = load_words(block + 32), w3 = load_words(block + 48);
  for (const uint32_t* k = round_constants;; k += 16) {
    four_rounds(s, w0, k);
    four_rounds(s, w1, k + 4);
    four_rounds(s, w2, k + 8);
    four_rounds(s, w3, k + 12);
    if (k == round_constants + 48) break;
    w0 = next_words(w0, w1, w2, w3);
    w1 = next_words(w1, w2, w3, w0);
    w2 = next_words(w2, w3, w0, w1);
    w3 = next_words(w3, w0, w1, w2);
  }
  s.abef = _mm_add_epi32(s.abef, before.abef);
  s.cdgh = _mm_add_epi32(s.cdgh, before.cdgh);
}

// The instructions keep the eight words as (f, e, b, a) and (h, g, d, c).
EDGETL_TARGET_SHA void compress_x86(uint32_t* state, const uint8_t* blocks, size_t count) {
  auto* halves = reinterpret_cast<__m128i*>(state);
  const __m128i badc = _mm_shuffle_epi32(_mm_loadu_si128(halves), 0xB1);
  const __m128i hgfe = _mm_shuffle_epi32(_mm_loadu_si128(halves + 1), 0x1B);
  X86State s = {_mm_alignr_epi8(badc, hgfe, 8), _mm_blend_epi16(hgfe, badc, 0xF0)};
  for (size_t i = 0; i < count; ++i) x86_block(s, blocks + i * block_bytes);
  const __m128i abef = _mm_shuffle_epi32(s.abef, 0x1B);
  const __m128i ghcd = _mm_shuffle_epi32(s.cdgh, 0xB1);
  _mm_storeu_si128(halves, _mm_blend_epi16(abef, ghcd, 0xF0));
  _mm_storeu_si128(halves + 1, _mm_alignr_epi8(ghcd, abef, 8));
}

#endif  // EDGETL_SHA_X86

#if defined(EDGETL_SHA_ARM)

#if defined(__clang__)
#define EDGETL_TARGET_SHA
#else
#define EDGETL_TARGET_SHA __attribute__((target("+crypto")))
#endif

bool arm_has_sha2() { return (getauxval(AT_HWCAP) & HWCAP_SHA2) != 0; }

struct ArmState {
  uint32x4_t abcd, efgh;
};

EDGETL_TARGET_SHA inline void four_rounds(ArmState& s, uint32x4_t w, const uint32_t* constants) {
  const uint32x4_t sum = vaddq_u32(w, vld1q_u32(constants));
  const uint32x4_t abcd = s.abcd;
  s.abcd = vsha256hq_u32(s.abcd, s.efgh, sum);
  s.efgh = vsha256h2q_u32(s.efgh, abcd, sum);
}

EDGETL_TARGET_SHA inline uint32x4_t next_words(uint32x4_t w0, uint32x4_t w1, uint32x4_t w2, uint32x4_t w3) {
  return vsha256su1q_u32(vsha256su0q_u32(w0, w1), w2, w3);
}

EDGETL_TARGET_SHA inline uint32x4_t load_words(const uint8_t* p) {
  return vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(p)));
}

EDGETL_TARGET_SHA void arm_block(ArmState& s, const uint8_t* block) {
  const ArmState before = s;
  uint32x4_t w0 = load_words(block), w1 = load_words(block + 16);
  uint32x4_t w2 = load_words(block + 32), w3 = load_words(block + 48);
  for (const uint32_t* k = round_constants;; k += 16) {
    four_rounds(s, w0, k);
    four_rounds(s, w1, k + 4);
    four_rounds(s, w2, k + 8);
    four_rounds(s, w3, k + 12);
    if (k == round_constants + 48) break;
    w0 = next_words(w0, w1, w2, w3);
    w1 = next_words(w1, w2, w3, w0);
    w2 = next_words(w2, w3, w0, w1);
    w3 = next_words(w3, w0, w1, w2);
  }
  s.abcd = vaddq_u32(s.abcd, before.abcd);
  s.efgh = vaddq_u32(s.efgh, before.efgh);
}

EDGETL_TARGET_SHA void compress_arm(uint32_t* state, const uint8_t* blocks, size_t count) {
  ArmState s = {vld1q_u32(state), vld1q_u32(state + 4)};
  for (size_t i = 0; i < count; ++i) arm_block(s, blocks + i * block_bytes);
  vst1q_u32(state, s.abcd);
  vst1q_u32(state + 4, s.efgh);
}

#endif  // EDGETL_SHA_ARM

// Null when it cannot run here.
Compress find_compress(Sha256Code code) {
  switch (code) {
    case Sha256Code::portable: return compress_portable;
    case Sha256Code::x86_sha:
#if defined(EDGETL_SHA_X86)
      return x86_has_sha() ? compress_x86 : nullptr;
#else
      return nullptr;
#endif
    case Sha256Code::arm_sha2:
#if defined(EDGETL_SHA_ARM)
      return arm_has_sha2() ? compress_arm : nullptr;
#else
      return nullptr;
#endif
  }
  return nullptr;
}

Compress fastest() {
  for (const Sha256Code code : {Sha256Code::x86_sha, Sha256Code::arm_sha2}) {
    if (const Compress compress = find_compress(code)) return compress;
  }
  return compress_portable;
}

void store_big_endian(uint32_t value, uint8_t* p) {
  for (unsigned i = 0; i < 4; ++i) p[i] = static_cast<uint8_t>(value >> (24 - 8 * i));
}

Digest digest_of(Compress compress, const uint8_t* data, size_t bytes) {
  uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  compress(state, data, bytes / block_bytes);
  const size_t rest = bytes % block_bytes;
  uint8_t last[2 * block_bytes] = {};
  if (rest != 0) std::memcpy(last, data + (bytes - rest), rest);
  last[rest] = 0x80;
  const size_t blocks = rest + 9 <= block_bytes ? 1 : 2;
  const uint64_t bits = uint64_t{bytes} * 8;
  store_big_endian(static_cast<uint32_t>(bits >> 32), last + blocks * block_bytes - 8);
  store_big_endian(static_cast<uint32_t>(bits), last + blocks * block_bytes - 4);
  compress(state, last, blocks);
  Digest digest{};
  for (size_t i = 0; i < 8; ++i) store_big_endian(state[i], digest.data() + 4 * i);
  return digest;
}

}  // namespace

bool sha256_available(Sha256Code code) { return find_compress(code) != nullptr; }

Digest sha256(const uint8_t* data, size_t bytes) {
  static const Compress compress = fastest();
  return digest_of(compress, data, bytes);
}

Digest sha256_with(Sha256Code code, const uint8_t* data, size_t bytes) {
  return digest_of(find_compress(code), data, bytes);
}

void write_hex(const Digest& digest, char (&text)[65]) {
  constexpr char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < digest.size(); ++i) {
    text[2 * i] = digits[digest[i] >> 4];
    text[2 * i + 1] = digits[digest[i] & 15];
  }
  text[64] = '\0';
}

}  // namespace edgetl

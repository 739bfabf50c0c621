// Whether this CPU multiplies bfloat16 itself; otherwise it is emulated and slow. As requirements.no_cpu_bfloat16 does.
#pragma once

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace edgetl {

inline bool cpu_has_bfloat16() {
#if defined(__x86_64__)
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  constexpr unsigned features = 7, avx512_bf16 = 1U << 5, amx_bf16 = 1U << 22;
  if (__get_cpuid_count(features, 1, &eax, &ebx, &ecx, &edx) != 0 && (eax & avx512_bf16) != 0) return true;
  return __get_cpuid_count(features, 0, &eax, &ebx, &ecx, &edx) != 0 && (edx & amx_bf16) != 0;
#else
  return false;
#endif
}

}  // namespace edgetl

/* The instructions of an x86 CPU without VNNI, called as they are: out[n][m] = sum over k of w[n][k] * a[m][k]. */
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

void accumulate(const uint8_t *a, const int8_t *w, int outputs, int positions, int depth, int32_t *out)
{
    const __m256i ones = _mm256_set1_epi16(1);
    for (int n = 0; n < outputs; n++) {
        for (int m = 0; m < positions; m++) {
            __m256i total = _mm256_setzero_si256();
            for (int k = 0; k < depth; k += 32) {
                uint8_t left[32] = {0};
                int8_t right[32] = {0};
                int count = depth - k < 32 ? depth - k : 32;
                memcpy(left, a + (size_t)m * depth + k, count);
                memcpy(right, w + (size_t)n * depth + k, count);
                __m256i pairs = _mm256_maddubs_epi16(_mm256_loadu_si256((const __m256i *)left),
                                                     _mm256_loadu_si256((const __m256i *)right));
                total = _mm256_add_epi32(total, _mm256_madd_epi16(pairs, ones));
            }
            int32_t lanes[8];
            _mm256_storeu_si256((__m256i *)lanes, total);
            int32_t sum = 0;
            for (int lane = 0; lane < 8; lane++)
                sum += lanes[lane];
            out[(size_t)n * positions + m] = sum;
        }
    }
}

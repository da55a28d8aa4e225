/* Scans trellis codes of kind "windows" in blocks of 64 rows; trellis_scan.py compiles it.

   A block is AHEAD bytes of 0 and the bytes of a code, each 64 times: once for each row. A value is
   the sum of two bytes from tables of 128, looked up for 64 rows by one instruction each. */
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

enum { ROWS = 64, AHEAD = 2, TABLES = 256 };

#if defined(__AVX512VBMI__) && defined(__AVX512VNNI__)
/* The last eight bits of the first `end`, of all rows. */
static inline __m512i last_bits(const uint8_t *block, int end)
{
    int byte = (end + 8 * AHEAD - 1) >> 3, behind = 7 - ((end - 1) & 7);
    __m512i low = _mm512_loadu_si512(block + ROWS * byte);
    __m512i high = _mm512_loadu_si512(block + ROWS * (byte - 1));
    low = _mm512_srl_epi16(low, _mm_cvtsi32_si128(behind));
    high = _mm512_sll_epi16(high, _mm_cvtsi32_si128(8 - behind));
    __m512i own = _mm512_set1_epi8((char)(0xFF >> behind));
    return _mm512_ternarylogic_epi32(own, low, high, 0xCA); /* low where own, else high */
}

static inline __m512i looked_up(const uint8_t *table, __m512i bits)
{
    __m512i first = _mm512_loadu_si512(table), second = _mm512_loadu_si512(table + 64);
    return _mm512_permutex2var_epi8(first, bits, second); /* which ignores the eighth bit */
}

static inline __m512i values_at(const uint8_t *block, const uint8_t *tables, int end, int skipped)
{
    return _mm512_add_epi8(looked_up(tables, last_bits(block, end)),
                           looked_up(tables + 128, last_bits(block, end - skipped)));
}

/* Write the sums of weights [steps], a multiple of 4, times values; return 1.
   The second byte of a value is looked up where `skipped` bits less were read. */
int scan_blocks(int blocks, int bytes, int steps, int skipped, const int32_t *ends,
                const int32_t *table, const uint8_t *tables, const int8_t *weights,
                const uint8_t *codes, int32_t *out)
{
    for (int i = 0; i < blocks; i++) {
        const uint8_t *block = codes + (size_t)i * (bytes + AHEAD) * ROWS;
        __m512i sums[4] = {{0}, {0}, {0}, {0}}, value[4];
        for (int t = 0; t < steps; t += 4) {
            int32_t four;
            memcpy(&four, weights + t, 4);
            __m512i weight = _mm512_set1_epi32(four);
            for (int j = 0; j < 4; j++)
                value[j] = values_at(block, tables + TABLES * table[t + j], ends[t + j], skipped);
            __m512i a = _mm512_unpacklo_epi8(value[0], value[1]);
            __m512i b = _mm512_unpackhi_epi8(value[0], value[1]);
            __m512i c = _mm512_unpacklo_epi8(value[2], value[3]);
            __m512i d = _mm512_unpackhi_epi8(value[2], value[3]);
            sums[0] = _mm512_dpbusd_epi32(sums[0], _mm512_unpacklo_epi16(a, c), weight);
            sums[1] = _mm512_dpbusd_epi32(sums[1], _mm512_unpackhi_epi16(a, c), weight);
            sums[2] = _mm512_dpbusd_epi32(sums[2], _mm512_unpacklo_epi16(b, d), weight);
            sums[3] = _mm512_dpbusd_epi32(sums[3], _mm512_unpackhi_epi16(b, d), weight);
        }
        for (int j = 0; j < 4; j++) /* unpacking left four rows of each sixteen together */
            for (int part = 0; part < 4; part++)
                memcpy(out + ROWS * i + 16 * part + 4 * j, (int32_t *)&sums[j] + 4 * part, 16);
    }
    return 1;
}
#else
int scan_blocks(void) { return 0; } /* the processor cannot */
#endif

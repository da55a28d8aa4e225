/* The loops of trellis codes; trellis_code.py compiles them: plain loops, vectors by gcc.

   A code is a stream of bits, first bit highest. Step t reads given[t] more of it; its state is the
   last `window` bits read, 0 before the first, and names a value in the table of the step. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef float f32;
typedef uint8_t u8;
typedef uint16_t u16;

enum { WIDEST = 4096, AHEAD = 4 }; /* states; bytes of 0 before a code */

typedef struct {
    int steps, window, bytes;
    const int32_t *given, *ends, *table; /* [steps]: bits read, bits read so far, number of table */
    const f32 *tables, *scales;          /* [tables, 2**window], [steps] */
} Trellis;

/* Costs after a step, from those before it; the high bits of the best state before go to `from`. */
#define STEP(BITS)                                                                         \
    static void step##BITS(const f32 *restrict old, f32 *restrict costs,                   \
                           const f32 *restrict table, f32 value, f32 scale, int states,    \
                           u8 *restrict from)                                              \
    {                                                                                      \
        int rest = states >> BITS;                                                         \
        f32 least[WIDEST];                                                                 \
        for (int j = 0; j < rest; j++) {                                                   \
            f32 best = old[j];                                                             \
            int32_t which = 0;                                                             \
            for (int high = 1; high < 1 << BITS; high++) {                                 \
                f32 other = old[high * rest + j];                                          \
                which = other < best ? high : which;                                       \
                best = other < best ? other : best;                                        \
            }                                                                              \
            least[j] = best;                                                               \
            from[j] = (u8)which;                                                           \
        }                                                                                  \
        for (int j = 0; j < rest; j++)                                                     \
            for (int x = 0; x < 1 << BITS; x++) {                                          \
                f32 error = value - scale * table[(j << BITS) + x];                        \
                costs[(j << BITS) + x] = least[j] + error * error;                         \
            }                                                                              \
    }
STEP(1)
STEP(2)
STEP(3)
STEP(4)
STEP(5)

static void step0(f32 *restrict costs, const f32 *restrict table, f32 value, f32 scale, int states)
{
    for (int k = 0; k < states; k++) {
        f32 error = value - scale * table[k];
        costs[k] += error * error;
    }
}

static void put(u8 *code, int first, int count, int bits)
{
    for (int i = 0; i < count; i++)
        code[(first + i) >> 3] |= (u8)((bits >> (count - 1 - i) & 1) << (7 - (first + i & 7)));
}

static int ends_in(const f32 *costs, int states)
{
    int best = 0;
    for (int k = 1; k < states; k++)
        best = costs[k] < costs[best] ? k : best;
    return best;
}

/* Write the states [steps] and the code [bytes] of the nearest path (Viterbi). */
static void encode_row(const Trellis *of, const f32 *values, f32 *costs, f32 *next, u8 *from,
                       u16 *states, u8 *code)
{
    typedef void Step(const f32 *, f32 *, const f32 *, f32, f32, int, u8 *);
    static Step *const walk[] = {0, step1, step2, step3, step4, step5};
    int count = 1 << of->window;
    for (int k = 0; k < count; k++)
        costs[k] = k ? 1e30f : 0;
    for (int t = 0; t < of->steps; t++) {
        const f32 *table = of->tables + (size_t)of->table[t] * count;
        if (!of->given[t]) {
            step0(costs, table, values[t], of->scales[t], count);
            continue;
        }
        walk[of->given[t]](costs, next, table, values[t], of->scales[t], count,
                           from + (size_t)t * count);
        f32 *swap = costs;
        costs = next, next = swap;
    }
    int state = ends_in(costs, count);
    memset(code, 0, of->bytes);
    for (int t = of->steps - 1; t >= 0; t--) {
        int bits = of->given[t], rest = state >> bits;
        states[t] = (u16)state;
        if (!bits)
            continue;
        put(code, of->ends[t] - bits, bits, state & ((1 << bits) - 1));
        state = rest | from[(size_t)t * count + rest] << (of->window - bits);
    }
}

void encode(const Trellis *of, int rows, const f32 *values, u16 *states, u8 *codes)
{
    size_t count = (size_t)1 << of->window;
    f32 *costs = aligned_alloc(64, 2 * count * sizeof(f32));
    u8 *from = aligned_alloc(64, of->steps * count);
    for (int i = 0; i < rows; i++)
        encode_row(of, values + (size_t)i * of->steps, costs, costs + count, from,
                   states + (size_t)i * of->steps, codes + (size_t)i * of->bytes);
    free(costs);
    free(from);
}

/* The last `window` bits of the first `end` of a code that stands AHEAD bytes into `padded`. */
static inline int state_at(const u8 *padded, int end, int window)
{
    const u8 *at = padded + (end + 8 * AHEAD - 1 >> 3);
    uint32_t bits = (uint32_t)at[-3] << 24 | at[-2] << 16 | at[-1] << 8 | at[0];
    return bits >> (7 - (end - 1 & 7)) & ((1 << window) - 1);
}

/* Write the sum of weights [steps] times values of each code: a scan that reads states. */
void scan(const Trellis *of, int rows, const u8 *codes, const f32 *weights, f32 *out)
{
    u8 padded[256] = {0};
    for (int i = 0; i < rows; i++) {
        f32 sum = 0;
        memcpy(padded + AHEAD, codes + (size_t)i * of->bytes, of->bytes);
        for (int t = 0; t < of->steps; t++)
            sum += weights[t] * of->tables[((size_t)of->table[t] << of->window)
                                           + state_at(padded, of->ends[t], of->window)];
        out[i] = sum;
    }
}

/* Write the scaled values [rows, steps] of codes. */
void values_of(const Trellis *of, int rows, const u8 *codes, f32 *values)
{
    u8 padded[256] = {0};
    for (int i = 0; i < rows; i++) {
        memcpy(padded + AHEAD, codes + (size_t)i * of->bytes, of->bytes);
        for (int t = 0; t < of->steps; t++)
            values[(size_t)i * of->steps + t] =
                of->scales[t] * of->tables[((size_t)of->table[t] << of->window)
                                           + state_at(padded, of->ends[t], of->window)];
    }
}

/* Add, for each table and state, the values [rows, steps] met there times scale, and scales**2. */
void gather(const Trellis *of, int rows, const f32 *values, const u16 *states, double *sums,
            double *weights)
{
    for (int i = 0; i < rows; i++)
        for (int t = 0; t < of->steps; t++) {
            size_t place = ((size_t)of->table[t] << of->window) + states[(size_t)i * of->steps + t];
            sums[place] += (double)of->scales[t] * values[(size_t)i * of->steps + t];
            weights[place] += (double)of->scales[t] * of->scales[t];
        }
}

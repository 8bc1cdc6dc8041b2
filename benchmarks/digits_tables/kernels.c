/* Training of one small convolutional network on one core, the batch innermost.
 *
 * An activation has the layout (blocks, pixels, channels, LANES): LANES images of the batch are one vector. Every loop below
 * therefore works on full vectors, and a convolution skips the pixels outside the image. Some channels of an activation are an
 * activation with a larger stride. Convolution weights have the layout (kernel, kernel, inputs, outputs).
 *
 * native.py compiles this file for REAL = float and double, and writes the instructions that `train` and `evaluate` execute.
 * It repeats Instruction and the enumeration of operations, in the same order.
 */

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifndef REAL
#define REAL float
#define REAL_BYTES 4
#endif

#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif
/* The number of registers decides how many output channels are computed at once. */
#if defined(__AVX512F__) || defined(__aarch64__)
#define OUT 8
#define WIDE 4
#else
#define OUT 4
#define WIDE 2
#endif

typedef REAL real;
typedef real vec __attribute__((vector_size(BYTES), may_alias));
typedef __typeof__((vec){0} > (vec){0}) mask;
#define LANES (BYTES / REAL_BYTES)
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 8")

typedef struct {
    int64_t at;     /* in vectors from the start of the memory */
    int64_t stride; /* vectors from one pixel to the next */
} Value;

typedef struct {
    int64_t operation;
    Value a, b, c; /* the comments of the operations define their roles */
    int64_t size;     /* height and width of the larger image */
    int64_t inputs, outputs, kernel;
    int64_t weight, bias, statistics; /* offsets; negative if the operation has none */
    int64_t add;                      /* 1: add the result to the value; 0: overwrite the value */
} Instruction;

enum {
    FILL,
    ADD,
    RELU,
    RELU_BACK,
    POOL,
    POOL_BACK,
    MAX_POOL,
    MAX_POOL_BACK,
    HALVE,
    HALVE_BACK,
    HALVE_MAX,
    HALVE_MAX_BACK,
    MEAN,
    MEAN_BACK,
    SHIFT,
    SHIFT_BACK,
    NORM,
    NORM_BACK,
    CONVOLUTION,
    CONVOLUTION_INPUT,
    CONVOLUTION_WEIGHT,
};

typedef struct {
    vec *memory;
    real *parameters, *gradients, *momenta;
    real *running; /* mean and variance of each norm */
    real *batch;   /* mean and 1 / standard deviation of each norm in this batch */
    real *scratch; /* a weight, transposed */
    const Instruction *forward, *backward;
    int64_t forward_count, backward_count, parameter_count;
    Value input, logits, gradient; /* gradient: of the mean cross entropy by the logits */
    int64_t input_vectors, classes;
    int64_t blocks; /* vectors in a batch, an even number */
    int64_t training;
    double eps, rate; /* epsilon of the norms, and the momentum of their running statistics */
} State;

int lanes(void) { return LANES; }

INLINE real total(vec v) {
#if BYTES > 16
    typedef real half __attribute__((vector_size(BYTES / 2), may_alias));
    typedef real quarter __attribute__((vector_size(BYTES / 4), may_alias));
    half halves[2];
    memcpy(halves, &v, sizeof v);
    const half both = halves[0] + halves[1];
    quarter quarters[2];
    memcpy(quarters, &both, sizeof both);
    const quarter last = quarters[0] + quarters[1];
    const int left = LANES / 4;
#else
    const vec last = v;
    const int left = LANES;
#endif
    real sum = last[0];
    UNROLL for (int i = 1; i < left; i++) sum += last[i];
    return sum;
}

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define FOLD
#endif
#endif
#if LANES == 16
#define EVERY_OTHER(S)                                                                                                        \
    S, S + 2, S + 4, S + 6, S + 8, S + 10, S + 12, S + 14, S + 16, S + 18, S + 20, S + 22, S + 24, S + 26, S + 28, S + 30
#elif LANES == 8
#define EVERY_OTHER(S) S, S + 2, S + 4, S + 6, S + 8, S + 10, S + 12, S + 14
#elif LANES == 4
#define EVERY_OTHER(S) S, S + 2, S + 4, S + 6
#else
#define EVERY_OTHER(S) S, S + 2
#endif

/* Totals of `many` vectors, a multiple of LANES. Two vectors fold into one by sums of neighbours, until lane i is the total
   of vector i. */
INLINE void totals(vec *v, real *to, const int many) {
#ifdef FOLD
#define FOLD_INTO(LEFT)                                                                                                       \
    UNROLL for (int i = 0; i < (LEFT); i++) v[i] =                                                                            \
        __builtin_shufflevector(v[2 * i], v[2 * i + 1], EVERY_OTHER(0)) +                                                     \
        __builtin_shufflevector(v[2 * i], v[2 * i + 1], EVERY_OTHER(1));
    FOLD_INTO(many / 2)
    if (LANES > 2) FOLD_INTO(many / 4)
    if (LANES > 4) FOLD_INTO(many / 8)
    if (LANES > 8) FOLD_INTO(many / 16)
    memcpy(to, v, many * sizeof(real));
#else
    for (int i = 0; i < many; i++) to[i] = total(v[i]);
#endif
}

INLINE vec where(mask m, vec x) { return (vec)(m & (mask)x); }
INLINE vec larger(vec x, vec y) { return (vec)(((x > y) & (mask)x) | (~(x > y) & (mask)y)); }
INLINE void put(vec *to, vec x, int64_t adding) {
    if (adding)
        *to += x;
    else
        *to = x;
}

/* Runs BODY for every block and pixel of an image of side SIDE, with its number as `p`. */
#define EACH_PIXEL(SIDE) for (int64_t p = 0, pixels = s->blocks * (SIDE) * (SIDE); p < pixels; p++)

static void fill(const Instruction *o, const State *s) {
    vec *a = s->memory + o->a.at;
    EACH_PIXEL(o->size) memset(a + p * o->a.stride, 0, o->inputs * sizeof(vec));
}

/* b = a */
static void add(const Instruction *o, const State *s) {
    const vec *a = s->memory + o->a.at;
    vec *b = s->memory + o->b.at;
    EACH_PIXEL(o->size) {
        const vec *x = a + p * o->a.stride;
        vec *y = b + p * o->b.stride;
        for (int64_t c = 0; c < o->inputs; c++) put(y + c, x[c], o->add);
    }
}

/* b = max(a, 0) */
static void relu(const Instruction *o, const State *s) {
    const vec *a = s->memory + o->a.at;
    vec *b = s->memory + o->b.at;
    EACH_PIXEL(o->size) {
        const vec *x = a + p * o->a.stride;
        vec *y = b + p * o->b.stride;
        for (int64_t c = 0; c < o->inputs; c++) y[c] = where(x[c] > 0, x[c]);
    }
}

/* c = a where b > 0, else 0; a is the output's gradient, b the output */
static void relu_back(const Instruction *o, const State *s) {
    const vec *a = s->memory + o->a.at, *b = s->memory + o->b.at;
    vec *c = s->memory + o->c.at;
    EACH_PIXEL(o->size) {
        const vec *dy = a + p * o->a.stride, *y = b + p * o->b.stride;
        vec *dx = c + p * o->c.stride;
        for (int64_t i = 0; i < o->inputs; i++) put(dx + i, where(y[i] > 0, dy[i]), o->add);
    }
}

INLINE int64_t low(int64_t at) { return at ? at - 1 : 0; }
INLINE int64_t high(int64_t at, int64_t size) { return at + 1 < size ? at + 1 : at; }

/* 1 / number of pixels of a window along one axis */
INLINE real share(int64_t at, int64_t size) { return (real)1 / (real)(high(at, size) - low(at) + 1); }

/* b = mean of a over the pixels of the 3x3 window that are inside the image: columns first, then rows. In the backward pass,
   a pixel takes its share of every window that contains it. */
INLINE void pool_any(const Instruction *o, const State *s, const int back) {
    const int64_t size = o->size, many = o->inputs;
    vec columns[size * many];
    for (int64_t row = 0; row < s->blocks * size; row++) {
        const int64_t h = row % size;
        const vec *a = s->memory + o->a.at + (row - h) * size * o->a.stride;
        vec *b = s->memory + o->b.at + row * size * o->b.stride;
        const int64_t h0 = low(h), h1 = high(h, size);
        const real above = back ? share(h0, size) : 1, here = back ? share(h, size) : 1, below = back ? share(h1, size) : 1;
        for (int64_t w = 0; w < size; w++) {
            const real scale = back ? share(w, size) : share(h, size);
            const vec *x = a + (h * size + w) * o->a.stride;
            const int64_t up = (h0 - h) * size * o->a.stride, down = (h1 - h) * size * o->a.stride;
            for (int64_t c = 0; c < many; c++) {
                vec sum = x[c] * here;
                if (up) sum += x[c + up] * above;
                if (down) sum += x[c + down] * below;
                columns[w * many + c] = sum * scale;
            }
        }
        for (int64_t w = 0; w < size; w++) {
            const real scale = back ? 1 : share(w, size);
            const vec *x = columns + w * many;
            for (int64_t c = 0; c < many; c++) {
                vec sum = x[c];
                if (w) sum += x[c - many];
                if (w + 1 < size) sum += x[c + many];
                put(b + w * o->b.stride + c, sum * scale, o->add);
            }
        }
    }
}
static void pool(const Instruction *o, const State *s) { pool_any(o, s, 0); }
static void pool_back(const Instruction *o, const State *s) { pool_any(o, s, 1); }

/* b = largest of a in a window: 3x3 around each pixel, or (`halving`) one of the 2x2 squares */
INLINE void max_any(const Instruction *o, const State *s, const int halving) {
    const int64_t size = o->size, side = halving ? size / 2 : size, stride = o->a.stride;
    for (int64_t at = 0; at < s->blocks * side * side; at++) {
        const int64_t h = at / side % side, w = at % side;
        const int64_t h0 = halving ? 2 * h : low(h), h1 = halving ? 2 * h + 1 : high(h, size);
        const int64_t w0 = halving ? 2 * w : low(w), w1 = halving ? 2 * w + 1 : high(w, size);
        const vec *a = s->memory + o->a.at + at / (side * side) * size * size * stride;
        vec *b = s->memory + o->b.at + at * o->b.stride;
        for (int64_t c = 0; c < o->inputs; c++) {
            vec most = a[(h0 * size + w0) * stride + c];
            for (int64_t i = h0; i <= h1; i++)
                for (int64_t j = w0; j <= w1; j++) most = larger(a[(i * size + j) * stride + c], most);
            put(b + c, most, o->add);
        }
    }
}

/* c += gradient a of the output, at the first pixel of the input b that is the largest of the window; c must be filled before */
INLINE void max_any_back(const Instruction *o, const State *s, const int halving) {
    const int64_t size = o->size, side = halving ? size / 2 : size;
    for (int64_t at = 0; at < s->blocks * side * side; at++) {
        const int64_t h = at / side % side, w = at % side, start = at / (side * side) * size * size;
        const int64_t h0 = halving ? 2 * h : low(h), h1 = halving ? 2 * h + 1 : high(h, size);
        const int64_t w0 = halving ? 2 * w : low(w), w1 = halving ? 2 * w + 1 : high(w, size);
        const vec *dy = s->memory + o->a.at + at * o->a.stride, *x = s->memory + o->b.at + start * o->b.stride;
        vec *dx = s->memory + o->c.at + start * o->c.stride;
        for (int64_t c = 0; c < o->inputs; c++) {
            vec most = x[(h0 * size + w0) * o->b.stride + c], left = dy[c];
            for (int64_t i = h0; i <= h1; i++)
                for (int64_t j = w0; j <= w1; j++) most = larger(x[(i * size + j) * o->b.stride + c], most);
            for (int64_t i = h0; i <= h1; i++)
                for (int64_t j = w0; j <= w1; j++) {
                    const mask here = x[(i * size + j) * o->b.stride + c] == most;
                    dx[(i * size + j) * o->c.stride + c] += where(here, left);
                    left = where(~here, left);
                }
        }
    }
}

static void max_pool(const Instruction *o, const State *s) { max_any(o, s, 0); }
static void max_pool_back(const Instruction *o, const State *s) { max_any_back(o, s, 0); }
static void halve_max(const Instruction *o, const State *s) { max_any(o, s, 1); }
static void halve_max_back(const Instruction *o, const State *s) { max_any_back(o, s, 1); }

/* b = mean of a over each square of four pixels */
static void halve(const Instruction *o, const State *s) {
    const int64_t size = o->size, half = size / 2, stride = o->a.stride;
    for (int64_t row = 0; row < s->blocks * half; row++)
        for (int64_t w = 0; w < half; w++) {
            const vec *x = s->memory + o->a.at + (2 * row * size + 2 * w) * stride;
            vec *y = s->memory + o->b.at + (row * half + w) * o->b.stride;
            for (int64_t c = 0; c < o->inputs; c++)
                y[c] = (x[c] + x[c + stride] + x[c + size * stride] + x[c + (size + 1) * stride]) * (real)0.25;
        }
}

/* b = the gradient a, a quarter to each of four pixels */
static void halve_back(const Instruction *o, const State *s) {
    const int64_t size = o->size, half = size / 2;
    for (int64_t row = 0; row < s->blocks * size; row++)
        for (int64_t w = 0; w < size; w++) {
            const vec *dy = s->memory + o->a.at + (row / 2 * half + w / 2) * o->a.stride;
            vec *dx = s->memory + o->b.at + (row * size + w) * o->b.stride;
            for (int64_t c = 0; c < o->inputs; c++) put(dx + c, dy[c] * (real)0.25, o->add);
        }
}

/* b = mean of a over all pixels */
static void mean(const Instruction *o, const State *s) {
    const int64_t pixels = o->size * o->size;
    for (int64_t block = 0; block < s->blocks; block++)
        for (int64_t c = 0; c < o->inputs; c++) {
            const vec *x = s->memory + o->a.at + block * pixels * o->a.stride + c;
            vec sum = {0};
            for (int64_t p = 0; p < pixels; p++) sum += x[p * o->a.stride];
            s->memory[o->b.at + block * o->b.stride + c] = sum / (real)pixels;
        }
}

static void mean_back(const Instruction *o, const State *s) {
    const int64_t pixels = o->size * o->size;
    for (int64_t at = 0; at < s->blocks * pixels; at++) {
        const vec *dy = s->memory + o->a.at + at / pixels * o->a.stride;
        vec *dx = s->memory + o->b.at + at * o->b.stride;
        for (int64_t c = 0; c < o->inputs; c++) put(dx + c, dy[c] / (real)pixels, o->add);
    }
}

/* a = the bias of each channel */
static void shift(const Instruction *o, const State *s) {
    const real *bias = s->parameters + o->bias;
    EACH_PIXEL(o->size) {
        vec *y = s->memory + o->a.at + p * o->a.stride;
        for (int64_t c = 0; c < o->inputs; c++) put(y + c, (vec){0} + bias[c], o->add);
    }
}

static void shift_back(const Instruction *o, const State *s) {
    const vec *a = s->memory + o->a.at;
    for (int64_t c = 0; c < o->inputs; c++) {
        vec sum = {0};
        EACH_PIXEL(o->size) sum += a[p * o->a.stride + c];
        s->gradients[o->bias + c] = total(sum);
    }
}

/* b = batch norm of a, with the statistics of the batch in training, else with the running statistics */
INLINE void norm_some(const Instruction *o, const State *s, int64_t first, const int many) {
    const int64_t pixels = s->blocks * o->size * o->size, step = o->a.stride;
    const vec *a = s->memory + o->a.at + first;
    real *running = s->running + o->statistics + first, *batch = s->batch + o->statistics + first;
    real scale[WIDE], offset[WIDE];
    if (s->training) {
        const double count = (double)pixels * LANES;
        vec sum[WIDE] = {0}, square[WIDE] = {0};
        real middle[WIDE];
        for (int64_t p = 0; p < pixels; p++)
            UNROLL for (int c = 0; c < many; c++) sum[c] += a[p * step + c];
        UNROLL for (int c = 0; c < many; c++) middle[c] = (real)(total(sum[c]) / count);
        for (int64_t p = 0; p < pixels; p++)
            UNROLL for (int c = 0; c < many; c++) {
                vec d = a[p * step + c] - middle[c];
                square[c] += d * d;
            }
        for (int c = 0; c < many; c++) {
            const double variance = total(square[c]) / count;
            batch[c] = middle[c];
            batch[c + o->inputs] = (real)(1 / sqrt(variance + s->eps));
            running[c] += (real)s->rate * (middle[c] - running[c]);
            running[c + o->inputs] += (real)s->rate * ((real)(variance * count / (count - 1)) - running[c + o->inputs]);
        }
    }
    for (int c = 0; c < many; c++) {
        const real middle = s->training ? batch[c] : running[c];
        const real inverse = s->training ? batch[c + o->inputs] : (real)(1 / sqrt(running[c + o->inputs] + s->eps));
        scale[c] = inverse * (o->weight < 0 ? 1 : s->parameters[o->weight + first + c]);
        offset[c] = (o->bias < 0 ? 0 : s->parameters[o->bias + first + c]) - middle * scale[c];
    }
    vec *b = s->memory + o->b.at + first;
    if (o->add)
        for (int64_t p = 0; p < pixels; p++)
            UNROLL for (int c = 0; c < many; c++) b[p * o->b.stride + c] += a[p * step + c] * scale[c] + offset[c];
    else
        for (int64_t p = 0; p < pixels; p++)
            UNROLL for (int c = 0; c < many; c++) b[p * o->b.stride + c] = a[p * step + c] * scale[c] + offset[c];
}

/* c = gradient of the input b, from the gradient a of the output */
INLINE void norm_back_some(const Instruction *o, const State *s, int64_t first, const int many) {
    const int64_t pixels = s->blocks * o->size * o->size;
    const vec *dy = s->memory + o->a.at + first, *x = s->memory + o->b.at + first;
    vec *dx = s->memory + o->c.at + first;
    const real *batch = s->batch + o->statistics + first;
    const real count = (real)(pixels * LANES);
    vec sum[WIDE] = {0}, product[WIDE] = {0};
    real middle[WIDE], by_gradient[WIDE], by_input[WIDE], rest[WIDE];
    for (int c = 0; c < many; c++) middle[c] = batch[c];
    for (int64_t p = 0; p < pixels; p++)
        UNROLL for (int c = 0; c < many; c++) {
            vec d = dy[p * o->a.stride + c];
            sum[c] += d;
            product[c] += d * (x[p * o->b.stride + c] - middle[c]);
        }
    for (int c = 0; c < many; c++) {
        const real inverse = batch[c + o->inputs], by_bias = total(sum[c]), by_weight = total(product[c]) * inverse;
        if (o->weight >= 0) s->gradients[o->weight + first + c] = by_weight;
        if (o->bias >= 0) s->gradients[o->bias + first + c] = by_bias;
        by_gradient[c] = inverse * (o->weight < 0 ? 1 : s->parameters[o->weight + first + c]);
        by_input[c] = -by_gradient[c] * inverse * by_weight / count;
        rest[c] = -by_gradient[c] * by_bias / count;
    }
    for (int64_t p = 0; p < pixels; p++)
        UNROLL for (int c = 0; c < many; c++)
            dx[p * o->c.stride + c] = dy[p * o->a.stride + c] * by_gradient[c] +
                                      ((x[p * o->b.stride + c] - middle[c]) * by_input[c] + rest[c]);
}

static void norm(const Instruction *o, const State *s) {
    int64_t c = 0;
    for (; c + WIDE <= o->inputs; c += WIDE) norm_some(o, s, c, WIDE);
    for (; c < o->inputs; c++) norm_some(o, s, c, 1);
}
static void norm_back(const Instruction *o, const State *s) {
    int64_t c = 0;
    for (; c + WIDE <= o->inputs; c += WIDE) norm_back_some(o, s, c, WIDE);
    for (; c < o->inputs; c++) norm_back_some(o, s, c, 1);
}

/* `many` output channels at every pixel of two blocks */
INLINE void convolve_some(const vec *x, int64_t x_stride, vec *y, int64_t y_stride, const real *weight, int64_t size,
                          int64_t inputs, int64_t outputs, const int kernel, int64_t adding, const int many) {
    const int64_t next = size * size * x_stride, next_y = size * size * y_stride;
    const int reach = kernel / 2;
    for (int64_t h = 0; h < size; h++)
        for (int64_t w = 0; w < size; w++) {
            vec first[OUT], second[OUT];
            vec *to = y + (h * size + w) * y_stride;
            UNROLL for (int j = 0; j < many; j++) {
                first[j] = second[j] = (vec){0};
            }
            const int64_t h0 = h < reach ? 0 : h - reach, h1 = h + reach < size ? h + reach : size - 1;
            const int64_t w0 = w < reach ? 0 : w - reach, w1 = w + reach < size ? w + reach : size - 1;
            for (int64_t i = h0; i <= h1; i++)
                for (int64_t j = w0; j <= w1; j++) {
                    const vec *from = x + (i * size + j) * x_stride;
                    const real *by = weight + ((i - h + reach) * kernel + j - w + reach) * inputs * outputs;
                    for (int64_t c = 0; c < inputs; c++, by += outputs) {
                        const vec in_first = from[c], in_second = from[c + next];
                        UNROLL for (int k = 0; k < many; k++) {
                            first[k] += in_first * by[k];
                            second[k] += in_second * by[k];
                        }
                    }
                }
            UNROLL for (int j = 0; j < many; j++) {
                put(to + j, first[j], adding);
                put(to + j + next_y, second[j], adding);
            }
        }
}

INLINE void convolve_kernel(const State *s, Value a, Value b, const real *weight, int64_t size, int64_t inputs,
                            int64_t outputs, const int kernel, int64_t adding) {
    for (int64_t block = 0; block < s->blocks; block += 2) {
        const vec *x = s->memory + a.at + block * size * size * a.stride;
        vec *y = s->memory + b.at + block * size * size * b.stride;
        int64_t c = 0;
#define SOME(MANY)                                                                                                            \
    for (; c + MANY <= outputs; c += MANY)                                                                                    \
        convolve_some(x, a.stride, y + c, b.stride, weight + c, size, inputs, outputs, kernel, adding, MANY);
        SOME(OUT)
        SOME(4)
        SOME(2)
        SOME(1)
#undef SOME
    }
}

static void convolve(const State *s, Value a, Value b, const real *weight, int64_t size, int64_t inputs, int64_t outputs,
                     int64_t kernel, int64_t adding) {
    if (kernel == 1)
        convolve_kernel(s, a, b, weight, size, inputs, outputs, 1, adding);
    else
        convolve_kernel(s, a, b, weight, size, inputs, outputs, 3, adding);
}

/* b = a convolved with the weight */
static void convolution(const Instruction *o, const State *s) {
    convolve(s, o->a, o->b, s->parameters + o->weight, o->size, o->inputs, o->outputs, o->kernel, o->add);
}

/* b = gradient of the input, from the gradient a of the output: a convolution with the weight rotated by 180 degrees */
static void convolution_input(const Instruction *o, const State *s) {
    const int64_t taps = o->kernel * o->kernel;
    const real *from = s->parameters + o->weight;
    for (int64_t tap = taps; tap-- > 0;)
        for (int64_t i = 0; i < o->inputs; i++)
            for (int64_t j = 0; j < o->outputs; j++) s->scratch[(tap * o->outputs + j) * o->inputs + i] = *from++;
    convolve(s, o->a, o->b, s->scratch, o->size, o->outputs, o->inputs, o->kernel, o->add);
}

/* gradient of the weight for `many` inputs, `wide` outputs and one tap, from blocks `begin` to `end` */
INLINE void weigh_some(const Instruction *o, const vec *dy, const vec *x, real *to, int64_t dh, int64_t dw,
                       int64_t begin, int64_t end, const int many, const int wide) {
    const int64_t size = o->size;
    const int64_t h0 = dh < 0 ? -dh : 0, h1 = dh > 0 ? size - dh : size;
    const int64_t w0 = dw < 0 ? -dw : 0, w1 = dw > 0 ? size - dw : size;
    /* the innermost loop runs over columns or over blocks: the larger number */
    const int along = w1 - w0 < end - begin;
    const int64_t inner = along ? end - begin : w1 - w0, outer = along ? w1 - w0 : end - begin;
    const int64_t area = size * size, step = along ? area : 1, stride = along ? 1 : area;
    vec sum[WIDE * 4] = {0};
    for (int64_t h = h0; h < h1; h++)
        for (int64_t n = 0; n < outer; n++) {
            const vec *g = dy + (begin * area + h * size + w0 + n * stride) * o->a.stride;
            const vec *f = x + (begin * area + (h + dh) * size + w0 + dw + n * stride) * o->b.stride;
            for (int64_t i = 0; i < inner; i++, g += step * o->a.stride, f += step * o->b.stride)
                UNROLL for (int i = 0; i < many; i++)
                    UNROLL for (int j = 0; j < wide; j++) sum[i * wide + j] += f[i] * g[j];
        }
    real sums[WIDE * 4];
    if (many * wide % LANES == 0)
        totals(sum, sums, many * wide);
    else
        UNROLL for (int i = 0; i < many * wide; i++) sums[i] = total(sum[i]);
    UNROLL for (int i = 0; i < many; i++)
        UNROLL for (int j = 0; j < wide; j++) to[i * o->outputs + j] += sums[i * wide + j];
}

INLINE void weigh_row(const Instruction *o, const vec *dy, const vec *x, real *to, int64_t dh, int64_t dw,
                      int64_t begin, int64_t end, const int many) {
    int64_t j = 0;
    for (; j + 4 <= o->outputs; j += 4) weigh_some(o, dy + j, x, to + j, dh, dw, begin, end, many, 4);
    for (; j < o->outputs; j++) weigh_some(o, dy + j, x, to + j, dh, dw, begin, end, many, 1);
}

/* gradient of the weight, from the gradient a of the output and the input b */
static void convolution_weight(const Instruction *o, const State *s) {
    const int64_t reach = o->kernel / 2, area = o->size * o->size;
    const vec *dy = s->memory + o->a.at, *x = s->memory + o->b.at;
    real *gradient = s->gradients + o->weight;
    memset(gradient, 0, o->kernel * o->kernel * o->inputs * o->outputs * sizeof(real));
    /* the largest number of blocks for which four channels of both activations stay in the first cache */
    int64_t many = 16384 / (area * 4 * (int64_t)sizeof(vec));
    many = many < 1 ? 1 : many;
    for (int64_t begin = 0; begin < s->blocks; begin += many) {
        const int64_t end = begin + many < s->blocks ? begin + many : s->blocks;
        int64_t i = 0;
#define ROW(MANY)                                                                                                             \
    for (; i + MANY <= o->inputs; i += MANY)                                                                                  \
        for (int64_t dh = -reach; dh <= reach; dh++)                                                                          \
            for (int64_t dw = -reach; dw <= reach; dw++) {                                                                    \
                const int64_t tap = (dh + reach) * o->kernel + dw + reach;                                                    \
                weigh_row(o, dy, x + i, gradient + (tap * o->inputs + i) * o->outputs, dh, dw, begin, end, MANY);          \
            }
        ROW(WIDE)
        ROW(1)
#undef ROW
    }
}

static void (*const operations[])(const Instruction *, const State *) = {
    fill,      add,  relu,      relu_back, pool,       pool_back, max_pool,  max_pool_back, halve,             halve_back,
    halve_max, halve_max_back,  mean,      mean_back,  shift,     shift_back, norm,         norm_back,
    convolution, convolution_input, convolution_weight,
};

static void forward(const State *s, const real *images) {
    memcpy(s->memory + s->input.at, images, s->input_vectors * sizeof(vec));
    for (int64_t i = 0; i < s->forward_count; i++) operations[s->forward[i].operation](s->forward + i, s);
}

static void loss_back(const State *s, const int32_t *labels) {
    const real share = (real)1 / (real)(s->blocks * LANES);
    for (int64_t at = 0; at < s->blocks * LANES; at++) {
        const real *x = (const real *)(s->memory + s->logits.at + at / LANES * s->logits.stride) + at % LANES;
        real *dx = (real *)(s->memory + s->gradient.at + at / LANES * s->gradient.stride) + at % LANES;
        real most = x[0], sum = 0;
        for (int64_t c = 1; c < s->classes; c++) most = x[c * LANES] > most ? x[c * LANES] : most;
        for (int64_t c = 0; c < s->classes; c++) {
            dx[c * LANES] = sizeof(real) == sizeof(float) ? expf(x[c * LANES] - most) : exp(x[c * LANES] - most);
            sum += dx[c * LANES];
        }
        for (int64_t c = 0; c < s->classes; c++) dx[c * LANES] *= share / sum;
        dx[labels[at] * LANES] -= share;
    }
}

/* Trains by SGD with Nesterov momentum, one step per rate. Images: (steps, blocks, size, size, channels, LANES). */
void train(const State *s, const real *images, const int32_t *labels, const double *rates, int64_t steps, double momentum,
           double decay) {
    for (int64_t step = 0; step < steps; step++) {
        forward(s, images + step * s->input_vectors * LANES);
        loss_back(s, labels + step * s->blocks * LANES);
        for (int64_t i = 0; i < s->backward_count; i++) operations[s->backward[i].operation](s->backward + i, s);
        const real rate = (real)rates[step], keep = (real)momentum, shrink = (real)decay;
        real *restrict at = s->parameters, *restrict moment = s->momenta;
        const real *restrict by = s->gradients;
        for (int64_t i = 0; i < s->parameter_count; i++) {
            const real change = by[i] + shrink * at[i];
            moment[i] = keep * moment[i] + change;
            at[i] -= rate * (change + keep * moment[i]);
        }
    }
}

/* Adds the number of correct answers and the cross entropy, over the images whose label is not negative. */
void evaluate(const State *s, const real *images, const int32_t *labels, int64_t batches, int64_t *correct, double *loss) {
    for (int64_t batch = 0; batch < batches; batch++, labels += s->blocks * LANES) {
        forward(s, images + batch * s->input_vectors * LANES);
        for (int64_t at = 0; at < s->blocks * LANES; at++) {
            if (labels[at] < 0) continue;
            const real *x = (const real *)(s->memory + s->logits.at + at / LANES * s->logits.stride) + at % LANES;
            int64_t best = 0;
            double sum = 0;
            for (int64_t c = 1; c < s->classes; c++)
                if (x[c * LANES] > x[best * LANES]) best = c;
            for (int64_t c = 0; c < s->classes; c++) sum += exp((double)x[c * LANES] - (double)x[best * LANES]);
            *correct += best == labels[at];
            *loss += log(sum) + (double)x[best * LANES] - (double)x[labels[at] * LANES];
        }
    }
}

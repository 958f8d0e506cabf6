/*
 * zc_simd.h - SIMD levels: one body of portable C or vector code, compiled once for the baseline of the
 * target (SSE2, NEON) and once more for AVX2, and chosen at run time.
 *
 * Kernels take the level as an argument, so that a test can force each one in turn.
 */
#ifndef ZC_SIMD_H
#define ZC_SIMD_H

#include <stdint.h>

enum zc_simd_level {
	ZC_SIMD_BASELINE = 0,
	ZC_SIMD_AVX2 = 1
};

#if defined(__x86_64__) && defined(__GNUC__)
#define ZC_HAVE_AVX2 1
#define ZC_TARGET_AVX2 __attribute__((target("avx2")))
#else
#define ZC_HAVE_AVX2 0
#define ZC_TARGET_AVX2
#endif

#define ZC_INLINE static inline __attribute__((always_inline))

/* The best level of this machine; a load and a test, cheap enough for every call. */
static inline int zc_simd_best(void)
{
#if ZC_HAVE_AVX2
	return __builtin_cpu_supports("avx2") ? ZC_SIMD_AVX2 : ZC_SIMD_BASELINE;
#else
	return ZC_SIMD_BASELINE;
#endif
}

/* 'level', or the best that this machine has if it is higher than that (or negative). */
static inline int zc_simd_clip(int level)
{
	int best = zc_simd_best();

	return level < 0 || level > best ? best : level;
}

/*
 * ZC_LEVELS(void, name, (parameters), (arguments)): from the always-inlined body name_body, the
 * functions name_baseline and name_avx2.  ZC_PICK(level, name) is the one for 'level'.
 */
#if ZC_HAVE_AVX2
#define ZC_LEVELS(result, name, parameters, arguments) \
	static result name##_baseline parameters { return name##_body arguments; } \
	ZC_TARGET_AVX2 static result name##_avx2 parameters { return name##_body arguments; }
#define ZC_PICK(level, name) ((level) >= ZC_SIMD_AVX2 ? name##_avx2 : name##_baseline)
#else
#define ZC_LEVELS(result, name, parameters, arguments) \
	static result name##_baseline parameters { return name##_body arguments; }
#define ZC_PICK(level, name) ((void)(level), name##_baseline)
#endif

/* Vectors of 32 bytes: one register with AVX2, two with SSE2 or NEON.  Loaded and stored unaligned, through memcpy. */
typedef uint16_t zc_v16u16 __attribute__((vector_size(32)));
typedef uint32_t zc_v8u32 __attribute__((vector_size(32)));
typedef uint64_t zc_v4u64 __attribute__((vector_size(32)));

#endif

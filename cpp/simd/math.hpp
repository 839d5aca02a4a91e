// Elementary functions of vec<double> and vec<float>, one idea a file. AVX2 and AVX-512 give the same bits.
// Infinities, NaN, signed zeros and the ends of the range give what the C library gives, and a lane's result does not
// depend on its neighbours: what needs another way is found by one comparison per vector, done aside, and put into its
// lanes only.
//
// Largest errors were measured over a million arguments of all exponents and of the places where errors are large,
// against 113-bit arithmetic: at most 1 unit in the last place for exp, log, sin, cos and sqrt, 2 for the rest (each
// file says how much; gamma.hpp what holds near zeros), subnormal results included. The x86 baseline, which has no fma,
// differs in bits and is at most one unit worse.
#pragma once

#include "simd/math/cube_root.hpp"
#include "simd/math/error_function.hpp"
#include "simd/math/exponential.hpp"
#include "simd/math/gamma.hpp"
#include "simd/math/hyperbolic.hpp"
#include "simd/math/inverse_trigonometric.hpp"
#include "simd/math/logarithm.hpp"
#include "simd/math/logistic.hpp"
#include "simd/math/power.hpp"
#include "simd/math/trigonometric.hpp"

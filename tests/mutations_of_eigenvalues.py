"""Mutations of eigenvalues and singular values, for tests/mutations.py: as in mutations_of_fits.py."""

from __future__ import annotations

from typing import Any

EIGENVALUES: tuple[tuple[Any, ...], ...] = (
    (
        "cpp/kernels/common/tridiagonal.hpp",
        "test_eigh.py test_svd.py",
        (
            "unit_roundoff<T>) * (abs(here) + abs(next))",
            "unit_roundoff<T>) * broadcast<T>(64) * (abs(here) + abs(next))",
        ),
        ("delta < zero<T>(), delta - root, delta + root", "delta < zero<T>(), delta + root, delta - root"),
        ("if (k < n) rotate_columns<1>", "if (k + 1 < n) rotate_columns<1>"),
        ("while (2 * top < n) top *= 2", "while (4 * top < n) top *= 2"),  # the network of exchanges
    ),
    (
        "cpp/kernels/**/eigh*",
        "test_eigh.py test_layouts.py",
        ("k * group_vectors(n, false))", "0)"),  # two groups of values in one place
        ("sine = select(turns, b * inverse, zero<T>())", "sine = select(turns, -b * inverse, zero<T>())"),
        ("spread * broadcast<T>(8) < abs(mean)", "spread > abs(mean)"),  # small diagonal elements lose their digits
        ("r < c ? row[c * ld + i + r]", "r < c ? row[r * ld + i + c]"),  # the triangle that is not there
        ("unit_roundoff<T> * (size_of(d[i])", "1000 * unit_roundoff<T> * (size_of(d[i])"),
        ("if (i + 1 < bottom) turn_two", "if (i + 2 < bottom) turn_two"),
        ("T* y = z + (from + 1) * step;", "T* y = z + from * step;"),  # the rows that are turned afterwards
    ),
    (
        "cpp/kernels/eigh_poles.cpp",
        "test_eigh.py test_svd.py",
        ("gaps[j - first] = 1;", "gaps[j - first] = 2;"),  # the z of the roots
        ("weight[first + i] = z[first + i] < 0 ? -size : size;", "weight[first + i] = size;"),
        ("if (step <= 0x1p-52 * size_of(tau)) break;", "if (step <= 0x1p-20 * size_of(tau)) break;"),  # too early
        ("return less * ((x + origin) + tau);", "return less * (x + origin);"),
        ("difference[i] *= d[i];", ""),
    ),
    (
        "cpp/kernels/common/long_columns.hpp",
        "test_qr.py test_eigh.py test_svd.py",
        ("alpha < 0 ? length : -length", "alpha < 0 ? -length : length"),  # cancels
        ("if (largest(c, rows) == 0) {", "if (true) {"),  # columns too small to be squared
    ),
    (
        "cpp/kernels/eigh_reduction.cpp",
        "test_eigh.py test_svd.py",
        ("y[tile + k] += own[k];", "y[tile + k] += 0;"),
        ("t += parts) {", "t += parts + 1) {"),  # tiles of nobody
        ("r + rows_at_once > first", "r > first"),  # rows that begin in the middle of what is multiplied at once
        ("broadcast<T>(tau * tau / 2 * product)", "broadcast<T>(tau * product)"),
        ("fma(r, next_right, fma(l, next_left, other[k]))", "fma(r, next_left, fma(l, next_right, other[k]))"),
        ("store(next + i, x + load(next + i));", ""),
    ),
    (
        "cpp/drivers/eigh_reduction.cpp",
        "test_eigh.py",
        ("std::copy_n(v(0), width * row_, v(2 * width));", ""),
        ("rows[i * row_ + j] = rows[j * row_ + i];", ""),  # the other triangle, which may be anything
        ("std::fill(next_ + begin, next_ + j, T{0});", ""),
    ),
    (
        "cpp/drivers/common/stops.hpp",
        "test_eigh.py",
        ("outcome.join({Outcome::Status::interrupted});\n  return outcome;", "{}\n  return outcome;"),
    ),
    (
        "cpp/drivers/svd_reduction.cpp",
        "test_svd.py",
        ("std::fill(x(k) + begin, x(k) + rows_, T{0});", ""),
        ("gather_rows(j + 1);", ""),
        ("std::fill_n(products_, columns_, T{0});", ""),
    ),
    (
        "cpp/drivers/common/joints.hpp",
        "test_eigh.py test_svd.py",
        ("if (sides[here] != sides[last]) sides[here] = both;", ""),
        ("std::inplace_merge(to, to + k, to + n, less);", ""),
        ("pole_[node.place + 1] = std::max(pole_[node.place + 1], nothing / 2);", ";"),
        ("if (std::is_sorted(order_, order_ + n_)) return;", "return;"),
        ("least_in_joint = 0x1p-250", "least_in_joint = 0x1p-500"),
    ),
    (
        "cpp/drivers/eigh_divide.cpp",
        "test_eigh.py",
        ("above || coupling > 0 ? x : -x", "x"),
        ("std::max(8 * u *", "std::max(8e4 * u *"),  # what is not zero is dropped
        ("d[row] -= std::fabs(e[row - 1]);", ""),
    ),
    (
        "cpp/drivers/svd_divide.cpp",
        "test_svd.py",
        ("side[upper] = Joints<T>::both;", ""),
        ("if (length > least_in_joint)", "if (length > 0)"),
        ("nothing = std::max(8 * u_of_T * largest", "nothing = std::max(8e4 * u_of_T * largest"),
        ("if (std::fabs(element[upper]) <= nothing) element[upper] = nothing;", ""),
        ("above ? alpha : beta", "alpha"),
    ),
    (
        "cpp/kernels/**/svd*",
        "test_svd.py test_layouts.py",
        ("tolerance / broadcast<T>(static_cast<T>(cols))", "broadcast<T>(static_cast<T>(0.1))"),  # calm too early
        ("rounding = tolerance * tolerance", "rounding = tolerance"),
        ("less & ~(exponent[k] < exponent[k - 1])", "less"),
        ("i < c.height; ++i) exchange", "i < c.rows; ++i) exchange"),
        (
            "for (; i < count; ++i) sum[0] = fma(x[i], y[i], sum[0])",
            "for (; i + 1 < count; ++i) sum[0] = fma(x[i], y[i], sum[0])",
        ),
        ("j >= players ? j - players : j", "j >= players ? j - players + 1 : j"),
        ("most_sweeps = 40", "most_sweeps = 5"),
        ("fma(t[1], m.p1q2, m.q1q2)", "fma(t[1], m.p1q2, m.p1p2)"),
        ("even.column(cols)[i] = zero<T>()", "even.column(cols)[i] = broadcast<T>(1)"),  # the column that is added
        ("turns ? ~(uneven & finite) : ~no_lanes<T>()", "~no_lanes<T>()"),  # columns of different sizes
        ("select(g.reduced, x, value[j])", "x"),
        ("const vec<T> now = fnma(factor[r], y, here)", "const vec<T> now = here"),  # the reflection from the right
        ("if (rest == 0) return;\n", "if (rest <= 1) return;\n"),
        ("(value[2 * n - 1 - j] - value[j]) *", "(value[2 * n - 1 - j] - value[0]) *"),
    ),
    (
        "cpp/drivers/svd*",
        "test_svd.py",
        ("largest[k - k % Rows] = std::max(largest[k - k % Rows], largest[k])", "largest[k] = largest[k]"),
        ("exponent / 2), std::ldexp(T{1}, exponent - exponent / 2)", "exponent), std::ldexp(T{1}, 0)"),
        ("by_columns = m > n;", "by_columns = m < n;"),
    ),
)

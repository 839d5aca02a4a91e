"""
Calculus 4: Taylor series
=========================

Near a point every smooth function looks like a polynomial: first like a line, then like a parabola, then better
and better. The coefficients are its derivatives. How far "near" reaches is part of the answer.
"""

# %%
# The polynomial that hugs its function
# -------------------------------------
# .. math:: f(x_0 + t) = \sum_{k=0}^{\infty} c_k \, t^k, \qquad c_k = \frac{f^{(k)}(x_0)}{k!}
import math

import matplotlib.pyplot as plt
import numpy as np

import mmlfast as mf

c = mf.autodiff.taylor(np.cos, 0.0, 12)
print("cosine:", c[:7].round(6))
t = np.linspace(-7, 7, 400)
figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
axes.plot(t, np.cos(t), color="0.75", linewidth=5)
for order, style in ((0, ":"), (2, "-."), (6, "--"), (12, "-")):
    p = np.polynomial.polynomial.polyval(t, c[: order + 1])
    axes.plot(t, p, color="black", linestyle=style, linewidth=1.2)
    end = np.argmax((np.abs(p) > 1.9) & (t > 0)) or -60
    axes.annotate(f"order {order}", (t[end], np.clip(p[end], -1.85, 1.85)), textcoords="offset points", xytext=(4, 2))
axes.text(-6.9, 1.15, "cosine")
axes.set(ylim=(-2.1, 2.1), xlabel="t", ylabel="value", title="Polynomials that hug the cosine at 0")
plt.show()
assert np.allclose(c[::2], [(-1) ** k / math.factorial(2 * k) for k in range(7)])

# %%
# How far it reaches
# ------------------
# The series of log(1 + t) agrees up to t = 1 and explodes beyond, whatever the order: the logarithm has a hole
# at -1, and the series cannot know on which side one asks. The ratio of neighbouring coefficients tends to the
# radius.
c = mf.autodiff.taylor(lambda t: np.log1p(t), 0.0, 30)
print("radius from the coefficients:", abs(c[29] / c[30]).round(3))
t = np.linspace(-0.98, 1.6, 300)
figure, axes = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
for order, style in ((3, ":"), (10, "--"), (30, "-")):
    error = np.abs(np.polynomial.polynomial.polyval(t, c[: order + 1]) - np.log1p(t))
    axes.semilogy(t, np.maximum(error, 1e-17), color="black", linestyle=style)
    axes.text(-0.3 - 0.012 * order, 10 ** (-4.2 - order / 3.2), f"order {order}", ha="right")
axes.axvspan(1, 1.6, color="0.9")
axes.text(1.02, 1e-15, "beyond the radius\nmore terms are worse")
axes.set(xlabel="t", ylabel="error", ylim=(1e-17, 1e7), title="Series of log(1 + t)")
plt.show()

# %%
# A line instead of a function
# ----------------------------
# The first two terms are the linearisation; what it leaves out grows with the square of the step.
#
# .. math:: f(x_0 + t) = f(x_0) + f'(x_0) \, t + O(t^2)
line = mf.autodiff.linearize(np.exp, 1.0)
for step in (0.1, 0.01, 0.001):
    error = math.exp(1 + step) - float(line(1 + step))
    print(f"step {step}: error {error:.3e}, divided by the step squared {error / step**2:.4f}")
assert np.isclose(error / step**2, math.e / 2, rtol=1e-3)


# %%
# Many variables
# --------------
# In many variables the same: value, gradient, Hessian.
#
# .. math:: f(x + d) \approx f(x) + \nabla f \cdot d + \tfrac12 \, d^T H d
def surface(v):
    return np.exp(v[0]) * np.sin(v[1])


x0, d = np.array([0.2, 1.0]), np.array([0.02, -0.01])
quadratic = mf.autodiff.quadratize(surface, x0)
print("exact", surface(x0 + d), " second order", float(quadratic(x0 + d)))
assert abs(surface(x0 + d) - quadratic(x0 + d)) < 1e-5

# %%
# What usually goes wrong
# -----------------------
# - **Derivatives by differences.** The tenth derivative from differences has no digit. `taylor` computes
#   coefficients by recurrences, with thirty digits on the way.
# - **A point without a series.** The square root at 0 has none, and is refused by name instead of giving infinity.
# - **0 / 0.** sin(t) / t has a series at 0 although the quotient has no value there; `taylor` finds it.
print("sin(t) / t:", mf.autodiff.taylor(lambda t: np.sin(t) / t, 0.0, 6).round(6))
try:
    mf.autodiff.taylor(np.sqrt, 0.0, 3)
    raise AssertionError
except ValueError as error:
    print("refused:", str(error).splitlines()[-1][:90])

# %%
# Exercises
# ---------
# 1. What is the series of 1 / (1 - t)? And its radius?
# 2. How many terms of the series of e^t at 0 give e to ten digits?
# 3. Approximate the square root of 4.1 by a line through 4. How large is the error?
#
# The answers, checked:
assert np.allclose(mf.autodiff.taylor(lambda t: 1 / (1 - t), 0.0, 20), 1)
sums = np.cumsum(mf.autodiff.taylor(np.exp, 0.0, 20))
terms = int(np.argmax(np.abs(sums - math.e) < 1e-10)) + 1
root = float(mf.autodiff.linearize(np.sqrt, 4.0)(4.1))
assert np.isclose(root, 2.025)
print(f"1. all ones, radius 1   2. {terms}   3. 2.025, off by {root - math.sqrt(4.1):.1e}")
assert terms == 14

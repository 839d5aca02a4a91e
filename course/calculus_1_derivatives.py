"""
Calculus 1: derivatives
=======================

How fast does a function change? Rise over run answers it for two points; the derivative is what the answer
tends to when the points come together. Four rules give the derivative of everything that is made of simple
functions.
"""

# %%
# Rise over run
# -------------
# .. math:: f'(x) = \lim_{h \to 0} \frac{f(x + h) - f(x)}{h}
#
# A computer cannot take the limit like this: f(x + h) and f(x) become equal before h is zero, and their
# difference is rounding error. The error falls with h, turns, and rises again.
import matplotlib.pyplot as plt
import numpy as np

import mmlfast as mf


def f(x):
    return np.sin(x) * np.exp(x / 3)


x = 1.2
exact = np.exp(x / 3) * (np.cos(x) + np.sin(x) / 3)
steps = np.logspace(0, -15, 61)
rise_over_run = np.abs((f(x + steps) - f(x)) / steps - exact)
both_sides = np.abs((f(x + steps) - f(x - steps)) / (2 * steps) - exact)
by_rules = abs(mf.autodiff.derivative(f, x) - exact)

figure, axes = plt.subplots(figsize=(5.8, 3.8), layout="constrained")
axes.loglog(steps, rise_over_run, color="black")
axes.loglog(steps, both_sides, color="black", linestyle="--")
axes.axhline(max(by_rules, 1e-17), color="tab:blue")
axes.text(4e-7, 2e-3, "rise over run")
axes.text(2e-1, 1e-7, "both\nsides")
axes.text(1e-11, 3e-16, "by the rules: autodiff", color="tab:blue")
axes.set(xlabel="step h", ylabel="error of the slope", ylim=(1e-17, 10))
axes.set_title("The smallest step is not the best one")
plt.show()
assert rise_over_run.min() > 1e-10
assert by_rules < 1e-15

# %%
# The rules
# ---------
# Sum, power, product and chain rule:
#
# .. math:: (f + g)' = f' + g', \qquad (x^n)' = n x^{n-1}, \qquad (f g)' = f' g + f g', \qquad
#           \frac{d}{dx} g(h(x)) = g'(h(x)) \, h'(x).
#
# `derivative` records the operations of a plain NumPy function and applies the rules to each. Its steps can be read.
tape = mf.autodiff.trace(f, x)
print(tape)
print(tape.trace_table(x))

# %%
# Read from the bottom to the top, the last column is the chain rule: how the result changes with each
# intermediate number.
#
# Each rule, checked on numbers:
g, h = (lambda t: t**3 - 2 * t), np.cos
d = mf.autodiff.derivative
assert np.isclose(d(lambda t: g(t) + h(t), x), d(g, x) + d(h, x))
assert np.isclose(d(lambda t: g(t) * h(t), x), d(g, x) * h(x) + g(x) * d(h, x))
assert np.isclose(d(lambda t: g(h(t)), x), d(g, h(x)) * d(h, x))
assert np.isclose(d(g, x), 3 * x**2 - 2)

# %%
# The derivative of the derivative says how the slope changes, and so on:
print("orders 0 to 4:", [float(d(f, x, order=k)) if k else float(f(x)) for k in range(5)])

# %%
# What usually goes wrong
# -----------------------
# - **A step of 1e-10.** Half of the digits of f are gone in the difference. With a step of 1e-8 half are left,
#   for rise over run.
# - **abs, max and friends have corners.** There is no slope at a corner; `autodiff` gives the average of both
#   sides, and the documentation has the table.
# - **A loop or a branch that depends on x.** The operations would be others for another x; that is refused with
#   the line, and with what to write instead (`np.where`).
print("slope of |x| at 0:", d(np.abs, 0.0))
print(mf.autodiff.check_gradient(lambda v: f(v[0]), np.array([x])).verdict)

# %%
# Exercises
# ---------
# 1. Differentiate x^2 sin(3 x) with the rules, and check at x = 0.7.
# 2. Where is the slope of x e^(-x) zero?
# 3. How large is the best error of rise over run with float64 numbers, roughly?
#
# The answers, checked:
by_hand = 2 * 0.7 * np.sin(2.1) + 3 * 0.7**2 * np.cos(2.1)
assert np.isclose(d(lambda t: t**2 * np.sin(3 * t), 0.7), by_hand)
assert abs(d(lambda t: t * np.exp(-t), 1.0)) < 1e-16
assert 1e-10 < rise_over_run.min() < 1e-7
print("1. 2 x sin(3 x) + 3 x^2 cos(3 x)   2. at x = 1   3. about 1e-8, the square root of the rounding error")

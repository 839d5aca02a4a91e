"""
Taylor series
=============

Polynomials that hug a function, and how far they hold.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation
from scipy.special import erf

from mmlfast.autodiff import grad, linearize, quadratize, taylor

# %%
# The polynomials of order 0, 1, 2, ... of a function at a point: one list of coefficients serves them all.
c = taylor(np.exp, 0.0, 30)
print("exp at 0, coefficients times k!:", [round(float(c[k] * np.prod(np.arange(1.0, k + 1))), 12) for k in range(5)])
for order in (0, 1, 2, 3, 5, 10, 30):
    print(f"  order {order:2}: e = {np.polynomial.polynomial.polyval(1.0, c[: order + 1]):.15f}")

# %%
# Each function has its radius: within it higher orders help, outside of it they make things worse.
print("\nerrors of order 10 and 30 at three quarters of the radius to the right, and at five quarters")
functions = {
    "log(1 + t) at 0": (np.log1p, 0.0, 1.0),
    "1 / (1 + t^2) at 0": (lambda t: 1 / (1 + t**2), 0.0, 1.0),  # smooth everywhere, but not at i
    "sqrt(t) at 2": (np.sqrt, 2.0, 2.0),
    "tan(t) at 0": (np.tan, 0.0, np.pi / 2),
}
for name, (f, x0, radius) in functions.items():
    c = taylor(f, x0, 30)
    t = radius * np.array([0.75, 1.25])
    near, far = np.transpose(
        [np.abs(np.polynomial.polynomial.polyval(t, c[: order + 1]) - f(x0 + t)) for order in (10, 30)]
    )
    print(f"  {name:18}: {near[0]:.0e} -> {near[1]:.0e};  {far[0]:.0e} -> {far[1]:.0e}")
    assert near[1] < near[0] / 10
    assert far[1] > far[0]

# %%
# The coefficients know the radius: their size shrinks or grows like 1 / radius^k.
c = taylor(lambda t: 1 / (1 + t**2), 0.5, 201)
radius = np.abs(c[100:]).max() ** (-1 / (100 + np.abs(c[100:]).argmax()))
print(f"\n1 / (1 + t^2) at 0.5: radius {radius:.3f} from its coefficients, {np.hypot(0.5, 1):.3f} is the distance to i")

# %%
# A series gives integrals and limits as well.
c = taylor(lambda t: np.exp(-(t**2)), 0.0, 30)
area = np.sum(c / np.arange(1, 32))  # from 0 to 1
print(f"the area below exp(-t^2) from 0 to 1: {area:.15f}, by erf {erf(1.0) * np.sqrt(np.pi) / 2:.15f}")
print("sin(t) / t at 0, where the formula itself is 0 / 0:", taylor(lambda t: np.sin(t) / t, 0.0, 4).round(6))
try:
    taylor(lambda t: np.sqrt(t), 0.0, 3)
except ValueError as error:
    print("sqrt(t) at 0:", str(error).splitlines()[-1])

# %%
# The error of the straight line, and its bound.
line = linearize(np.sin, 1.0)
x = 1.1
print(f"\nsin({x}) by the line at 1: {line(x):.6f}, off by {np.sin(x) - line(x):.6f}")
print(f"  the term of second order says {line.error(x):.6f}, Lagrange's bound {line.error_bound(x):.6f}")


# %%
# Many variables: the parabola that touches, and series along a direction.
def hill(v):
    return np.exp(-(v[0] ** 2) - 2 * v[1] ** 2) + 0.1 * v[0]


q = quadratize(hill, [0.3, 0.2])
there = np.array([0.4, 0.25])
print(f"\nthe hill at {there}: {hill(there):.7f}, by the parabola at [0.3 0.2] {q(there):.7f}")
print(f"  with the term of third order {q(there) + q.error(there):.7f}")
along = taylor(hill, [0.3, 0.2], 6, direction=[0.1, 0.05])
print(f"  with six orders along the way {along.sum():.7f}")
print("the gradient along the way, order by order:", taylor(grad(hill), [0.3, 0.2], 1, direction=[0.1, 0.05]).round(6))

# %%
# The picture: polynomials of 1 / (1 + t^2) hug it more closely with each order, but between -1 and 1 only.
c = taylor(lambda t: 1 / (1 + t**2), 0.0, 30)
t = np.linspace(-2, 2, 401)
figure, axes = plt.subplots(figsize=(6, 3.8), layout="constrained")
axes.plot(t, 1 / (1 + t**2), color="0.7", linewidth=5, label="1 / (1 + t^2)")
(polynomial,) = axes.plot(t, np.ones_like(t), color="black", label="polynomial")
axes.axvspan(-1, 1, color="tab:orange", alpha=0.15, label="within the radius")
axes.set(xlabel="t", ylim=(-1, 2))
axes.legend(loc="lower left")


def draw(order):
    """The polynomial of that order."""
    polynomial.set_ydata(np.polynomial.polynomial.polyval(t, c[: order + 1]))
    axes.set_title(f"order {order}")


movie = FuncAnimation(figure, draw, frames=range(0, 31, 2), interval=400)
figure.canvas.draw()  # its first picture
plt.show()


# %%
# In a notebook: sliders for the order that is wanted, and which function.
def show(order, f=lambda t: 1 / (1 + t**2), x0=0.0):
    """The function, and its polynomial of that order."""
    at = x0 + np.linspace(-2, 2, 401)
    plt.figure(figsize=(6, 3.8))
    plt.plot(at, f(at), color="0.7", linewidth=5)
    plt.plot(at, np.polynomial.polynomial.polyval(at - x0, taylor(f, x0, order)), color="black")
    plt.ylim(-1, 2)
    plt.show()


if "get_ipython" in globals():
    from ipywidgets import interact_manual

    interact_manual(show, order=(0, 30), f={"1 / (1 + t^2)": lambda t: 1 / (1 + t**2), "exp": np.exp, "cos": np.cos})

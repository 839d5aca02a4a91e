"""
A drawing reflected in a mirror and turned, in the standard basis and in one of its own
=======================================================================================
"""

import matplotlib.pyplot as plt
import numpy as np

import mmlfast as mf

# %%
# Two polygons; a row of NaN lifts the pen.
house = [[0, 0], [2, 0], [2, 2], [1, 3], [0, 2], [0, 0]]
door = [[0.5, 0], [0.5, 1], [1, 1], [1, 0]]
drawing = np.array([*house, [np.nan, np.nan], *door])

mirror = mf.linalg.reflection_matrix(basis=[[1.0], [2.0]])  # the line along (1, 2)
print("reflected in the line along (1, 2):")
print(np.round(mf.linalg.transform(drawing, mirror), 2)[:4])

# %%
# The same from the other side: in the basis of the line and its normal the mirror only changes a sign.
basis = mf.linalg.gram_schmidt([[1.0, 0.0], [2.0, 1.0]]).basis
same = mf.linalg.change_of_basis(np.diag([1.0, -1.0]), None, basis, operator=True)
print("E T E^-1 is that matrix:", np.allclose(same, mirror))

# %%
# Two mirrors at an angle of 30 degrees make a turn by 60.
other = mf.linalg.reflection_matrix(basis=mf.linalg.rotation_matrix(np.pi / 6) @ [[1.0], [2.0]])
print("two reflections are a rotation:", np.allclose(other @ mirror, mf.linalg.rotation_matrix(np.pi / 3)))

# %%
# In space: a quarter turn about the diagonal, and the coordinates of a point in the turned frame.
turn = mf.linalg.rotation_matrix(np.pi / 2, axis=[1.0, 1.0, 1.0])
print(
    "the point (1, 0, 0) in a frame turned about the diagonal:", mf.linalg.change_of_basis([1.0, 0, 0], turn).round(3)
)

# %%
# From one vector to another, and a map with a shift, as image libraries write it: 2 x 3, the matrix and the shift.
turn = mf.linalg.rotation_matrix(between=([1.0, 0.0], [3.0, 4.0]))
print("the roof, turned so that the ground points along (3, 4), and put down at (10, 20):")
print(mf.linalg.transform(drawing, np.column_stack([turn, [10.0, 20.0]]))[2:4].round(2))

try:
    mf.linalg.reflection_matrix(basis=[[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]])
except mf.linalg.LinAlgError as error:
    print("not a mirror:", error)

# %%
# The picture: the drawing, its mirror image, and both mirrors after each other.
figure, axes = plt.subplots(figsize=(6, 4.4), layout="constrained")
for matrix, style, name in (
    (np.eye(2), "-", "drawn"),
    (mirror, "--", "in the mirror"),
    (other @ mirror, ":", "in both mirrors: turned by 60 degrees"),
):
    axes.plot(*mf.linalg.transform(drawing, matrix).T, style, color="black", linewidth=2, label=name)
axes.plot([-1.2, 1.7], [-2.4, 3.4], color="tab:orange", label="first mirror")
axes.set(aspect="equal", xlabel="x", ylabel="y")
figure.legend(loc="outside right center")
plt.show()

"""
Products of many small matrices at once, and sums in Einstein's notation
========================================================================
"""

import matplotlib.pyplot as plt
import numpy as np

import mmlfast as mf

rng = np.random.default_rng(7)

# %%
# Ten thousand joints of robot arms: each pose is a rotation and a shift, and arms are products of poses.
angles = rng.uniform(-np.pi, np.pi, (3, 10_000))
poses = np.zeros((3, 10_000, 3, 3))
poses[..., :2, :2] = mf.linalg.rotation_matrix(angles)
poses[..., 0, 2] = poses[..., 2, 2] = 1.0
arms = mf.linalg.matmul(mf.linalg.matmul(poses[0], poses[1]), poses[2])
hands = mf.linalg.matvec(arms, np.array([1.0, 0.0, 1.0]))[:, :2]
print(f"{len(hands)} arms of four links; the hands are up to {np.linalg.norm(hands, axis=1).max():.2f} away")

# %%
# The length of each vector in a metric of its own: x' M x for every item.
metric = rng.standard_normal((10_000, 3, 3))
metric = mf.linalg.einsum("bij,bkj->bik", metric, metric)
x = rng.standard_normal((10_000, 3))
squared = mf.linalg.einsum("bi,bij,bj->b", x, metric, x)
print("all squared lengths are positive:", bool((squared > 0).all()))
print("the same by vecdot and matvec:", np.allclose(squared, mf.linalg.vecdot(x, mf.linalg.matvec(metric, x))))

# %%
# The picture: where ten thousand hands are, and three of the arms, joint by joint.
figure, axes = plt.subplots(figsize=(4.8, 4.6), layout="constrained")
axes.plot(*hands.T, ".", color="0.8", markersize=1)
for k in range(3):
    joints = [np.eye(3)]
    for pose in poses[:, k]:
        joints.append(joints[-1] @ pose)
    joints.append(joints[-1] @ [[1, 0, 1], [0, 1, 0], [0, 0, 1]])
    axes.plot(*np.array(joints)[:, :2, 2].T, "o-", linewidth=2)
axes.set(aspect="equal", xlabel="x (links)", ylabel="y (links)", title="10 000 arms of four links, three of them drawn")
plt.show()

"""Mutations of networks, for tests/mutations.py: the files, the tests that have to notice, and texts with what they
become."""

from __future__ import annotations

from typing import Any

TRAINING = "test_backprop.py test_backprop_training.py"

NETWORKS: tuple[tuple[Any, ...], ...] = (
    (
        "src/mmlfast/neural_network/_columns.py",
        "test_mlp_situations.py",
        ("if share > 0:", "if share >= 0:"),  # no row counts: their mean is NaN
        (" + np.square(means - centre)", ""),
        ("deviation[deviation <= 1e-14 * np.abs(centre)] = 0", "deviation = np.abs(deviation)"),
        ("tables.append(rows[:, many:])", "tables.append(rows[:, :-many])"),
        ("counted = rows if w is None or w.all() else rows[w > 0]", "counted = rows"),
    ),
    (
        "cpp/*/backprop*",
        "test_fit_many.py",
        ("lane.state.steps = lane.best_steps;", ""),
        ("if (!memory_.finite(l, lane.member)) return abandon(l);", ""),
        ("    lane.ordered = false;\n", ""),  # each epoch has an order of its own
        ("(targets.first + s) % targets.chains", "s % targets.chains"),
        ("start >= samples_per_chunk", "false"),  # the chunks of a batch are added up
        ("s = c; s < count; s += 4", "s = 0; s < count; s += 4"),
    ),
    (
        "cpp/kernels/backprop*",
        f"{TRAINING} test_fit_many.py",
        ("for (; s % 4 != 0; ++s) turn(biases[0]);", ""),  # the last chain is added first
        ("delta = activations::times_slope<Activation::tanh>(delta, out, out);", "{}"),
        ("if (!tanh) backward(layers, 2, 0, count);", ""),
        ("delta = fma(d, w[o], delta);", "delta = d * w[o];"),  # the last output alone
        ("return combine<2>(layer, first, count)", "return combine<1>(layer, first, count)"),
        ("i < r * p.row + p.cols; i += lanes<T>", "i < r * p.row + lanes<T>; i += lanes<T>"),
        ("rows - begin < together ? rows : begin + together", "begin + together / 2"),  # half of the rows stay
    ),
    (
        "cpp/drivers/common/finite.hpp",
        f"{TRAINING} test_bfgs.py",
        ("static_cast<Bits>((bits & ~sign) + one)", "static_cast<Bits>(bits & ~sign)"),
        ("sizeof(T) == 8 ? 52 : 23", "sizeof(T) == 8 ? 51 : 22"),  # large numbers too
    ),
    (
        "cpp/drivers/backprop*",
        f"{TRAINING} test_mlp.py",
        ("work_.load_weights();\n    load_state();", "work_.load_weights();"),  # the velocity of the diverged epoch
        ("saved_.clear();\n    work_.load_weights();", "saved_.clear();"),
    ),
    (
        "cpp/bind/backprop_fit.cpp",
        f"{TRAINING} test_mlp.py test_fit_many.py",
        ("array = PyArray_NewCopy(a, NPY_CORDER);", "array = Py_NewRef(given);"),  # trains the caller's arrays
        ("!PyArray_CompareLists(PyArray_DIMS(a), shape, PyArray_NDIM(a))", "false"),
        ("kept[1] = t.state.steps;", ""),
        ("kept[3] = t.state.rate_factor;", ""),
        ("kept[4] = t.state.epochs_without_improvement;", ""),
        ("told.append(t.best_epoch);", "told.append(0);"),
    ),
    (
        "cpp/drivers/backprop_lanes.hpp",
        "test_fit_many.py",
        ("for (Size s = real; s < rows; ++s) gather_nothing(lane, s);", ""),
        ("if (k < n) to[k * lanes] = from[k];", ""),  # the last column of an odd number
        ("if (!of[l].same(of[leader])) return -1;", ""),  # every lane has the samples of the first
        ("of[l].samples->y != of[0].samples->y", "false"),
        ("put(all + lane, n, from), from += n;", "put(all + lane, n, from);"),
        ("std::min(chains_ > 1 ? chains_ : n, lanes)", "n"),
    ),
    (
        "cpp/drivers/backprop_many.cpp",
        "test_fit_many.py",
        ("rule_.momentum.of[l] = static_cast<T>(t.momentum);", "rule_.momentum.of[0] = static_cast<T>(t.momentum);"),
        ("rule_.beta2.of[l] = static_cast<T>(t.beta2);", ""),
        ("rule_.keep.of[l] = numbers.keep;", ""),
        ("!other.ordered || !lane.same_order(other)", "!other.ordered"),
        ("lane.state.epoch += lane.epochs;", ""),
        ("losses[l] / weight_of(held_out[l])", "losses[l]"),
        ("lane.sum / lane.weight", "lane.sum / static_cast<double>(lane.member.samples->n)"),
        ("!std::isfinite(t.clip_norm) && ", ""),
        ("memory_.save(l, lane.member, lane.best);", ""),
    ),
)  # fmt: skip

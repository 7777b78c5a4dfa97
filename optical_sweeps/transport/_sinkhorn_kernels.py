"""Entropic transport of one small problem at a time: annealed scaling iterations and a Newton finish.

Notation: M = C / epsilon; f and g are duals in units of epsilon; P_ij = exp(f_i + g_j - M_ij).

The scaling vectors work on a fixed kernel in the precision of the problem, which keeps it in the first-level
cache and in vector registers. Potentials, exponentials and Newton's method use float64, so that float32
problems do not stall above the tolerance. A Newton step costs as much as tens to hundreds of iterations; each
problem switches to Newton's method once its rate of convergence predicts that this is faster.

Each stage of the annealing is solved to an error of `_STAGE_ERROR`. With an error of .2, ragged aligned
problems ended in plateaus that 100 Newton steps did not cross.
"""

import math

import numpy as np

from optical_sweeps.compiled import compiled

LANES = 16  # columns are padded to whole vectors, rows to groups of four
SPREADS = {"none": 0, "std": 1, "range": 2, "mean": 3}

_CLAMP = 300.0  # bound of exponents; the product of two exponentials is then no denormal either
_FLOOR = 1e-15  # least kernel entry: no sum is zero, and no product of scalings is denormal or overflows
_NEGLIGIBLE = 1e-35  # smaller shares of the mass become 0, because float32 would store denormals
_STAGE_ERROR = 0.01
_ITERATIONS_A_STAGE = 4
_NEWTON_A_STAGE = 30
_WORTH_ANNEALING = 3.0  # ratio of the spread to epsilon below which stages cost more than they save
_REVIEW = 8  # iterations between two checks of the rate of convergence and the size of the scalings
_LOST = 1e6  # larger scalings are absorbed into the potentials, so that the floor never matters


_fast = compiled(fastmath=True, error_model="numpy")


@_fast
def _exponentials(M, f, g, n, m, width, P):
    """P = exp(f_i + g_j - M_ij), 0 in padded columns; 0.8 ns per entry (4.5 ns with the library's exp).

    exp(x) = 2^k e^r with |r| <= log(2) / 2 and Taylor's polynomial of degree 11: relative error 1e-14.
    """
    for i in range(n):
        M_i = M[i]
        P_i = P[i]
        f_i = f[i]
        for j in range(width):
            y = min(max(f_i + g[j] - M_i[j], -_CLAMP), _CLAMP) * 1.4426950408889634
            k = math.floor(y + 0.5)
            r = (y - k) * 0.6931471805599453
            e = 1 / 720 + r * (1 / 5040 + r * (1 / 40320 + r * (1 / 362880 + r * (1 / 3628800 + r / 39916800))))
            e = 1 + r * (1 + r * (1 / 2 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120 + r * e)))))
            P_i[j] = e * np.int64((np.int64(k) + 1023) << 52).view(np.float64)
        for j in range(m, width):
            P_i[j] = 0.0


@_fast
def _iterate(K, a, b, u, v, t, rows, width):
    """u = a / K v, then v = b / K' u, in one pass over K; returns the L1 error of the columns before v.

    Four rows at a time need a third of the loads of one row at a time.
    """
    real = K.dtype.type
    for j in range(width):
        t[j] = 0
    for i in range(0, rows, 4):
        K0, K1, K2, K3 = K[i], K[i + 1], K[i + 2], K[i + 3]
        s0, s1, s2, s3 = real(0), real(0), real(0), real(0)
        for j in range(width):
            v_j = v[j]
            s0 += K0[j] * v_j
            s1 += K1[j] * v_j
            s2 += K2[j] * v_j
            s3 += K3[j] * v_j
        u0, u1, u2, u3 = a[i] / s0, a[i + 1] / s1, a[i + 2] / s2, a[i + 3] / s3
        u[i], u[i + 1], u[i + 2], u[i + 3] = u0, u1, u2, u3
        for j in range(width):
            t[j] += K0[j] * u0 + K1[j] * u1 + K2[j] * u2 + K3[j] * u3
    error = real(0)
    for j in range(width):
        error += abs(v[j] * t[j] - b[j])
        v[j] = b[j] / t[j]
    return error


@_fast
def _kernel(P, n, m, rows, width, K, v):
    """K = P in the working precision, floored; padding is just large enough that no sum is zero."""
    for i in range(n):
        for j in range(width):
            K[i, j] = max(P[i, j], _FLOOR)
        for j in range(m, width):
            K[i, j] = _FLOOR if i == 0 else 0.0
    for i in range(n, rows):
        for j in range(width):
            K[i, j] = _FLOOR if j == 0 else 0.0
    for j in range(width):
        v[j] = 1 if j < m else 0


@_fast
def _newton_direction(P, a, c, residual, n, m, S, d):
    """Solve (diag(c) - P' diag(1/a) P) d = residual with d[m - 1] = 0, by an LDL' factorisation in place.

    The matrix is a graph Laplacian, which is singular along constants only; fixing the last entry removes that.
    Up to a multiple of four rows, `P` is padded with zeros and `a` with ones.
    """
    size = m - 1
    for j in range(size):
        S_j = S[j]
        for k in range(j, size):
            S_j[k] = 0
        S_j[j] = c[j] * (1 + 1e-13)
    for i in range(0, n, 4):
        P0, P1, P2, P3 = P[i], P[i + 1], P[i + 2], P[i + 3]
        a0, a1, a2, a3 = 1 / a[i], 1 / a[i + 1], 1 / a[i + 2], 1 / a[i + 3]
        for j in range(size):
            S_j = S[j]
            q0, q1, q2, q3 = P0[j] * a0, P1[j] * a1, P2[j] * a2, P3[j] * a3
            for k in range(j, size):
                S_j[k] -= q0 * P0[k] + q1 * P1[k] + q2 * P2[k] + q3 * P3[k]
    for j in range(size):  # row j of the factor from the finished rows above, four at a time
        S_j = S[j]
        k = 0
        while k + 4 <= j:
            S0, S1, S2, S3 = S[k], S[k + 1], S[k + 2], S[k + 3]
            q0, q1, q2, q3 = S0[j] * d[k], S1[j] * d[k + 1], S2[j] * d[k + 2], S3[j] * d[k + 3]
            for l in range(j, size):  # noqa: E741
                S_j[l] -= q0 * S0[l] + q1 * S1[l] + q2 * S2[l] + q3 * S3[l]
            k += 4
        while k < j:
            S_k = S[k]
            factor = S_k[j] * d[k]
            for l in range(j, size):  # noqa: E741
                S_j[l] -= factor * S_k[l]
            k += 1
        # Rounding can cancel a pivot that little mass crosses; the floor keeps the step from following it.
        S_j[j] = max(S_j[j], 1e-15 * c[j])
        d[j] = 1 / S_j[j]
    for k in range(size):
        d[k] = residual[k]
    d[m - 1] = 0
    for k in range(size):
        S_k = S[k]
        z = d[k] / S_k[k]
        for l in range(k + 1, size):  # noqa: E741
            d[l] -= z * S_k[l]
    for k in range(size - 1, -1, -1):
        S_k = S[k]
        z = d[k]
        for l in range(k + 1, size):  # noqa: E741
            z -= S_k[l] * d[l]
        d[k] = z / S_k[k]


@_fast
def _newton(M, a, b, f, g, n, m, width, tolerance, max_steps, P, S, c, residual, d, trial):
    """Maximise the semi-dual <g, b> + <f(g), a>, f the soft c-transform, by Newton with a line search.

    Leaves P = exp(f + g - M) with exact rows and, unless the steps ran out, a column error below `tolerance`;
    returns the number of steps. If the line search fails, one Sinkhorn update replaces the step.
    """
    for j in range(width):
        trial[j] = g[j]
        d[j] = 0
    best, best_error = -1e300, 1e300
    step = 1.0
    steps = 0
    _exponentials(M, f, g, n, m, width, P)
    while True:
        value = 0.0
        for j in range(width):
            c[j] = 0
        for i in range(n):
            P_i = P[i]
            row_sum = 0.0
            for j in range(width):
                row_sum += P_i[j]
            scale = a[i] / max(row_sum, 1e-280)
            f[i] += math.log(scale)
            value += a[i] * f[i]
            for j in range(width):
                P_i[j] *= scale
                c[j] += P_i[j]
        error = 0.0
        for j in range(m):
            value += b[j] * trial[j]
            residual[j] = b[j] - c[j]
            error += abs(residual[j])
        if value >= best or error < 0.9 * best_error:
            for j in range(m):
                g[j] = trial[j]
            best, best_error = value, error
            if error <= tolerance or steps >= max_steps:
                return steps
            steps += 1
            _newton_direction(P, a, c, residual, n, m, S, d)
            longest = 0.0
            for j in range(m):
                longest = max(longest, abs(d[j]))
            step = 20.0 / longest if longest > 20.0 else 1.0
        else:
            step *= 0.25
            if step < 0.01:
                steps += 1
                if steps > 2 * max_steps:
                    return steps
                _exponentials(M, f, g, n, m, width, P)
                for j in range(width):
                    c[j] = 1e-280
                for i in range(n):
                    P_i = P[i]
                    row_sum = 0.0
                    for j in range(width):
                        row_sum += P_i[j]
                    scale = a[i] / max(row_sum, 1e-280)
                    for j in range(width):
                        c[j] += P_i[j] * scale
                for j in range(m):
                    d[j] = math.log(b[j] / c[j])
                step = 1.0
                best = -1e300
        for j in range(m):
            trial[j] = g[j] + step * d[j]
        _exponentials(M, f, trial, n, m, width, P)


@_fast
def _stage(
    M, a, b, f, g, n, m, rows, width, target, max_iterations, newton, last,
    P, K, a_work, b_work, u, v, t, S, c, residual, d, trial,
):  # fmt: skip
    """Solve one temperature to the L1 error `target`; returns the iterations and steps spent."""
    _exponentials(M, f, g, n, m, width, P)
    _kernel(P, n, m, rows, width, K, v)
    # The multiplications of five Newton steps, weighted by their lower speed compared with iterations.
    newton_work = 7.5 * (n * m * m / 2 + m * m * m / 6 + 4 * n * m)
    limit = max_iterations if last else min(_ITERATIONS_A_STAGE, max_iterations)
    iterations = 0
    error, reviewed = 1.0, 1.0
    while iterations < limit:
        error = float(_iterate(K, a_work, b_work, u, v, t, rows, width))
        iterations += 1
        if error <= target:
            break
        if iterations % _REVIEW == 0 and iterations < limit:
            least, most = 1e30, 0.0
            for j in range(m):
                least = min(least, v[j])
                most = max(most, v[j])
            if most > _LOST or least < 1 / _LOST:
                for i in range(n):
                    f[i] += math.log(u[i])
                for j in range(m):
                    g[j] += math.log(v[j])
                _exponentials(M, f, g, n, m, width, P)
                _kernel(P, n, m, rows, width, K, v)
            elif newton:
                rate = error / reviewed
                left = _REVIEW * math.log(target / error) / math.log(rate) if rate < 1 else 1e30
                if left * 2 * n * m > newton_work:
                    break
            reviewed = error
    if iterations > 0:
        for i in range(n):
            f[i] += math.log(u[i])
        for j in range(m):
            g[j] += math.log(v[j])
    if last or (newton and error > target):
        # Even with 0 steps this writes P from the potentials, without the floor.
        steps = min(max_iterations - iterations, 100) if last else _NEWTON_A_STAGE
        steps = max(steps, 0) if newton else 0
        iterations += _newton(M, a, b, f, g, n, m, width, target, steps, P, S, c, residual, d, trial)
    return iterations


@_fast
def _spread(C, n, m, kind):
    """Spread of the n x m costs; `kind` is a value of `SPREADS`."""
    total, absolute = 0.0, 0.0
    low, high = C[0, 0], C[0, 0]
    for i in range(n):
        C_i = C[i]
        for j in range(m):
            total += C_i[j]
            absolute += abs(C_i[j])
    if kind == 3:
        return absolute / (n * m)
    if kind == 2:
        for i in range(n):
            C_i = C[i]
            for j in range(m):
                low, high = min(low, C_i[j]), max(high, C_i[j])
        return high - low
    mean = total / (n * m)
    squares = 0.0
    for i in range(n):
        C_i = C[i]
        for j in range(m):
            squares += (C_i[j] - mean) * (C_i[j] - mean)
    return math.sqrt(squares / (n * m))


@_fast
def _largest(C, n, m, columns):
    """max |C_ij|, by columns first: the compiler vectorises elementwise maxima, but no float reduction."""
    for j in range(m):
        columns[j] = 0.0
    for i in range(n):
        C_i = C[i]
        for j in range(m):
            columns[j] = max(columns[j], abs(C_i[j]))
    most = 0.0
    for j in range(m):
        most = max(most, columns[j])
    return most


@compiled()
def _gather(cost, row_of, n, column_of, m, out):
    """Copy the real entries in float64; returns how many are finite, which fastmath could not tell."""
    finite = 0
    prefix = column_of[m - 1] == m - 1
    for i in range(n):
        row = cost[row_of[i]]
        target = out[i]
        if prefix:
            for j in range(m):
                x = np.float64(row[j])
                target[j] = x
                finite += 1 if abs(x) <= 1e300 else 0
        else:
            for k in range(m):
                x = np.float64(row[column_of[k]])
                target[k] = x
                finite += 1 if abs(x) <= 1e300 else 0
    return finite


@_fast
def _solve(
    C, a, b, f, g, n, m, rows, width, epsilon, start_epsilon, tolerance, max_iterations, newton,
    M, P, K, a_work, b_work, u, v, t, S, c, residual, d, trial,
):  # fmt: skip
    """Anneal to `epsilon`; leaves P, and f, g in units of the cost. Returns iterations."""
    for j in range(width):  # g starts as the c-transform of f = 0
        g[j] = C[0, j] if j < m else 0.0
        b_work[j] = b[j]
    for i in range(1, n):
        C_i = C[i]
        for j in range(m):
            g[j] = min(g[j], C_i[j])
    for i in range(rows):
        f[i] = 0.0
        a_work[i] = a[i] if i < n else 0.0
    temperature = start_epsilon
    spent = np.int64(0)
    while True:
        last = temperature <= epsilon
        if last:
            temperature = epsilon
        inverse = 1 / temperature
        for i in range(n):
            for j in range(m):
                M[i, j] = C[i, j] * inverse
            for j in range(m, width):
                M[i, j] = 0
            f[i] *= inverse
        for j in range(m):
            g[j] *= inverse
        spent += _stage(
            M, a, b, f, g, n, m, rows, width, tolerance if last else max(_STAGE_ERROR, tolerance),
            max_iterations - spent, newton, last,
            P, K, a_work, b_work, u, v, t, S, c, residual, d, trial,
        )  # fmt: skip
        for i in range(n):
            f[i] *= temperature
        for j in range(m):
            g[j] *= temperature
        if last:
            return spent
        temperature *= 0.5


@compiled(error_model="numpy")
def solve_range(
    cost, a_all, b_all, matrix, source_potential, target_potential, error, iterations, epsilons,
    start, stop, epsilon, relative_to, least_epsilon, tolerance, max_iterations, newton,
):  # fmt: skip
    """Solve problems start..stop-1 of a batch."""
    rows_all, columns_all = cost.shape[1:]
    width_all = (columns_all + LANES - 1) // LANES * LANES
    height_all = (rows_all + 3) // 4 * 4
    C, M = np.zeros((height_all, width_all)), np.zeros((height_all, width_all))
    P, S = np.zeros((height_all, width_all)), np.empty((width_all, width_all))
    K = np.empty((height_all, width_all), cost.dtype)
    u, a_work = np.empty(height_all, cost.dtype), np.empty(height_all, cost.dtype)
    v, t, b_work = (
        np.empty(width_all, cost.dtype),
        np.empty(width_all, cost.dtype),
        np.empty(width_all, cost.dtype),
    )
    f, a = np.empty(height_all), np.empty(height_all)
    g, b, c, residual = np.empty(width_all), np.empty(width_all), np.empty(width_all), np.empty(width_all)
    d, trial = np.empty(width_all), np.empty(width_all)
    row_of, column_of = np.empty(rows_all, np.int32), np.empty(columns_all, np.int32)

    for p in range(start, stop):
        # A plain 0 would have another type, for which every function below would be compiled again.
        n, m, mass_a, mass_b = np.int64(0), np.int64(0), 0.0, 0.0
        for i in range(rows_all):
            source_potential[p, i] = 0
            out = matrix[p, i]
            for j in range(columns_all):
                out[j] = 0
            if a_all[p, i] > 1e-30:
                row_of[n] = i
                a[n] = a_all[p, i]
                mass_a += a[n]
                n += 1
        for j in range(columns_all):
            target_potential[p, j] = 0
            if b_all[p, j] > 1e-30:
                column_of[m] = j
                b[m] = b_all[p, j]
                mass_b += b[m]
                m += 1
        iterations[p] = 0
        epsilons[p] = epsilon
        if n > 0 and m > 0 and mass_a < 1e300 and mass_b < 1e300:
            width, rows = (m + LANES - 1) // LANES * LANES, (n + 3) // 4 * 4
            if _gather(cost[p], row_of, n, column_of, m, C) == n * m:
                for i in range(n):  # total masses of 1: tolerances are relative to it
                    a[i] /= mass_a
                for i in range(n, rows):
                    a[i] = 1
                    for j in range(width):
                        P[i, j] = 0
                for j in range(m):
                    b[j] /= mass_b
                for j in range(m, width):
                    b[j] = 0
                used = epsilon
                if relative_to != 0:
                    spread = _spread(C, n, m, relative_to)
                    used = epsilon * spread if spread > 0 else epsilon
                used = max(used, least_epsilon * _largest(C, n, m, trial))
                epsilons[p] = used
                anneal_from = 1.1 * _spread(C, n, m, np.int64(1))
                if anneal_from < _WORTH_ANNEALING * used:
                    anneal_from = used
                iterations[p] = _solve(
                    C, a, b, f, g, n, m, rows, width, used, anneal_from, tolerance, max_iterations, newton,
                    M, P, K, a_work, b_work, u, v, t, S, c, residual, d, trial,
                )  # fmt: skip
                for i in range(n):
                    out = matrix[p, row_of[i]]
                    P_i = P[i]
                    if column_of[m - 1] == m - 1:
                        for j in range(m):
                            out[j] = P_i[j] * mass_a if P_i[j] > _NEGLIGIBLE else 0.0
                    else:
                        for k in range(m):
                            out[column_of[k]] = P_i[k] * mass_a if P_i[k] > _NEGLIGIBLE else 0.0
                    source_potential[p, row_of[i]] = f[i] + used * math.log(mass_a)
                for k in range(m):
                    target_potential[p, column_of[k]] = g[k]
        missed_rows, missed_columns = 0.0, 0.0
        if columns_all > 0:
            missed_rows, missed_columns = _marginal_errors(matrix[p], a_all[p], b_all[p], trial)
        error[p] = max(missed_rows, missed_columns)


@_fast
def _marginal_errors(matrix, a, b, column_sum):
    """L1 errors of both marginals of the plan as stored."""
    missed_rows = 0.0
    for j in range(matrix.shape[1]):
        column_sum[j] = 0
    for i in range(matrix.shape[0]):
        row = matrix[i]
        row_sum = 0.0
        for j in range(matrix.shape[1]):
            row_sum += row[j]
            column_sum[j] += row[j]
        missed_rows += abs(row_sum - a[i])
    missed_columns = 0.0
    for j in range(matrix.shape[1]):
        missed_columns += abs(column_sum[j] - b[j])
    return missed_rows, missed_columns

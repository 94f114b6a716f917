"""Quadric error functions of cells: squared distances to planes, points and lines, summed, and the position
in the cell that minimises the sum.

A quadric is (9,) float64: for the energy x'Ax - 2b'x over x in 0..1, local to the cell, A's xx, xy, xz, yy,
yz, zz and b's x, y, z.
"""

import numpy as np
from numba import njit

COEFFICIENTS = 9
"""Numbers of a quadric."""


@njit(cache=True, nogil=True)
def add_plane(quadrics, row, n, point, cell):
    """Adds to a row of quadrics (N, 9) the squared distance to the plane with unit normal n (3,) through a
    point (3,), relative to a cell (3,)."""
    distance = n[0] * (point[0] - cell[0]) + n[1] * (point[1] - cell[1]) + n[2] * (point[2] - cell[2])
    place = 0
    for i in range(3):
        for j in range(i, 3):
            quadrics[row, place] += n[i] * n[j]
            place += 1
        quadrics[row, 6 + i] += n[i] * distance


@njit(cache=True, nogil=True)
def add_point(quadrics, row, weight, point, cell):
    """Adds ``weight`` times the squared distance to a point (3,)."""
    quadrics[row, 0] += weight
    quadrics[row, 3] += weight
    quadrics[row, 5] += weight
    for i in range(3):
        quadrics[row, 6 + i] += weight * (point[i] - cell[i])


@njit(cache=True, nogil=True)
def add_line(quadrics, row, weight, d, point, cell):
    """Adds ``weight`` times the squared distance to the line along the unit vector d (3,) through a point
    (3,)."""
    along = d[0] * (point[0] - cell[0]) + d[1] * (point[1] - cell[1]) + d[2] * (point[2] - cell[2])
    place = 0
    for i in range(3):
        for j in range(i, 3):
            quadrics[row, place] += weight * ((1.0 if i == j else 0.0) - d[i] * d[j])
            place += 1
        quadrics[row, 6 + i] += weight * (point[i] - cell[i] - d[i] * along)


@njit(cache=True, nogil=True)
def minimize_quadrics(quadrics, positions):
    """Writes into positions (N, 3) the minimum over 0..1 of each positive definite quadric (N, 9).

    Where the unconstrained minimum lies outside the cell, it is the least of the minima on the cell's sides,
    edges and corners that lie inside.
    """
    matrix, vector, x = np.empty((3, 3)), np.empty(3), np.empty(3)
    for row in range(len(quadrics)):
        place = 0
        for i in range(3):
            vector[i] = quadrics[row, 6 + i]
            for j in range(i, 3):
                matrix[i, j] = matrix[j, i] = quadrics[row, place]
                place += 1
        least = np.inf
        for number in range(27):
            energy = _minimize_on_face(matrix, vector, number, x)
            if energy < least:
                least = energy
                positions[row] = x
            if number == 0 and energy < np.inf:
                break


@njit(cache=True, nogil=True)
def _minimize_on_face(a, b, number, x):
    """Writes the minimum with some axes fixed into x and returns its energy, infinite if x is outside 0..1.
    The base-3 digits of ``number`` tell which axes: 0 for a free axis, 1 and 2 for one fixed to 0 and to
    1."""
    i, j, free = -1, -1, 0
    for axis in range(3):
        fixed = number % 3
        number //= 3
        if fixed:
            x[axis] = fixed - 1
        else:
            i, j = j, axis
            free += 1
    # Solve for the free axes.
    if free == 3:
        _solve_symmetric(a, b, x)
    elif free == 2:
        k = 3 - i - j
        p, q = b[i] - a[i, k] * x[k], b[j] - a[j, k] * x[k]
        determinant = a[i, i] * a[j, j] - a[i, j] * a[i, j]
        x[i] = (p * a[j, j] - q * a[i, j]) / determinant
        x[j] = (q * a[i, i] - p * a[i, j]) / determinant
    elif free == 1:
        k, m = (j + 1) % 3, (j + 2) % 3
        x[j] = (b[j] - a[j, k] * x[k] - a[j, m] * x[m]) / a[j, j]
    # x'Ax - 2b'x, if x is inside.
    energy = 0.0
    for axis in range(3):
        if not 0 <= x[axis] <= 1:
            return np.inf
        energy += x[axis] * (a[axis, 0] * x[0] + a[axis, 1] * x[1] + a[axis, 2] * x[2] - 2 * b[axis])
    return energy


@njit(cache=True, nogil=True)
def _solve_symmetric(a, b, x):
    """Writes the solution of a x = b into x, for symmetric a (3, 3), by its adjugate."""
    c00, c01, c02 = (
        a[1, 1] * a[2, 2] - a[1, 2] ** 2,
        a[0, 2] * a[1, 2] - a[0, 1] * a[2, 2],
        a[0, 1] * a[1, 2] - a[0, 2] * a[1, 1],
    )
    c11, c12, c22 = (
        a[0, 0] * a[2, 2] - a[0, 2] ** 2,
        a[0, 1] * a[0, 2] - a[0, 0] * a[1, 2],
        a[0, 0] * a[1, 1] - a[0, 1] ** 2,
    )
    determinant = a[0, 0] * c00 + a[0, 1] * c01 + a[0, 2] * c02
    x[0] = (c00 * b[0] + c01 * b[1] + c02 * b[2]) / determinant
    x[1] = (c01 * b[0] + c11 * b[1] + c12 * b[2]) / determinant
    x[2] = (c02 * b[0] + c12 * b[1] + c22 * b[2]) / determinant

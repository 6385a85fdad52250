"""A linear map from original word vectors to where training has moved them."""

from dataclasses import dataclass

import numpy as np

ENOUGH_TRAINED = 20
"""Moved rows below which no map is fitted."""
FOLDS = 5
STRENGTHS = 10.0 ** np.arange(-4, 5)
"""Of the penalty on the map's difference from the identity, in mean variances of the vectors."""


@dataclass(frozen=True)
class LinearMap:
    """From an original row to a trained one: ``row + row @ matrix + bias``.

    Attributes:
        matrix: float64 ``[D, D]``.
        bias: float64 ``[D]``.
        error: The length of the differences from trained rows that it wasn't fitted to, by the length of those rows.
            None: there were too few rows to fit a map to.
        identity_error: The same where original rows are taken as they are.
    """

    matrix: np.ndarray
    bias: np.ndarray
    error: float | None
    identity_error: float

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Map float32 rows ``[N, D]``."""
        return (rows + rows.astype(np.float64) @ self.matrix + self.bias).astype(np.float32)


def fit_map(original: np.ndarray, trained: np.ndarray) -> LinearMap:
    """Fit a map to rows ``[N, D]`` by least squares, with a ridge towards the identity and a free bias.

    The ridge's strength is the best in cross-validation; with it, the map is fitted to all rows. The idea of mapping
    is that of Mikolov et al. 2013, "Exploiting Similarities among Languages for Machine Translation",
    https://arxiv.org/abs/1309.4168. The same rows give the same map.
    """
    original = original.astype(np.float64)
    change = trained - original  # [N, D]
    size = np.linalg.norm(trained.astype(np.float64))
    identity_error = float(np.linalg.norm(change) / size)
    dim = original.shape[1]
    if len(original) < ENOUGH_TRAINED:
        return LinearMap(np.zeros((dim, dim)), np.zeros(dim), None, identity_error)
    squares = np.zeros(len(STRENGTHS))
    for held_out in np.array_split(np.random.default_rng(0).permutation(len(original)), FOLDS):
        fitted = np.delete(original, held_out, axis=0), np.delete(change, held_out, axis=0)
        for position, (matrix, bias) in enumerate(_ridge(*fitted, STRENGTHS)):
            off = original[held_out] @ matrix + bias - change[held_out]
            squares[position] += (off**2).sum()
    best = int(squares.argmin())
    ((matrix, bias),) = _ridge(original, change, STRENGTHS[best : best + 1])
    return LinearMap(matrix, bias, float(np.sqrt(squares[best]) / size), identity_error)


def _ridge(inputs: np.ndarray, outputs: np.ndarray, strengths: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Matrix ``[D, D]`` and bias ``[D]`` of a ridge regression, for each strength."""
    centre, shift = inputs.mean(axis=0), outputs.mean(axis=0)  # [D]
    inputs, outputs = inputs - centre, outputs - shift
    values, axes = np.linalg.eigh(inputs.T @ inputs)  # [D], [D, D]
    onto_axes = axes.T @ (inputs.T @ outputs)  # [D, D]
    matrices = [axes @ (onto_axes / (values + strength * values.mean())[:, None]) for strength in strengths]
    return [(matrix, shift - centre @ matrix) for matrix in matrices]

"""Checks of the arrays that travel between the two programs."""

import numpy as np

from .errors import ProtocolError


def check_array(name: str, array: np.ndarray, dtype, shape: tuple) -> None:
    """Raises :class:`ProtocolError` unless an array has this dtype and shape; None in the shape is any
    size."""
    sizes_fit = array.ndim == len(shape) and all(
        want in (None, have) for want, have in zip(shape, array.shape, strict=True)
    )
    if array.dtype != dtype or not sizes_fit:
        wanted = tuple("any" if size is None else size for size in shape)
        raise ProtocolError(
            f"The array '{name}' must be {np.dtype(dtype)} of shape {wanted}, not {array.dtype} of shape "
            f"{array.shape}."
        )

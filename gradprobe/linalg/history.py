"""The way that a product has come, from which the errors of its singular values follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from gradprobe.linalg.graded import identity_like, take
from gradprobe.linalg.passage import Passage, composed, rescaled, standstill
from gradprobe.linalg.spreads import Extent, Spreads, without_zeros

if TYPE_CHECKING:
    from torch import Tensor

MOST = 24
"""How many stretches are kept apart."""


class Stretch(NamedTuple):
    """Some steps of the way.

    Attributes
    ----------
    passage
        From their start to their end.
    d
        At their end.
    number
        Which one it was in `Spreads`.
    changes
        How often values had become zero by the end, or been lost.
    extent
        Between which spreads it went. None: not known yet, or there was no step.
    """

    passage: Passage
    d: Tensor
    number: int
    changes: int
    extent: Extent | None = None


class Sensitivity(NamedTuple):
    """How rounding errors reach the logarithms of singular values, (..., n), descending.

    Attributes
    ----------
    of_steps
        The root of the sum over all steps of the squares of their condition.
    of_product
        The condition of the factorisation itself, 1 at least: of perturbing the bases.
    reversal
        By how many nats the spread of the values, to the largest or to the smallest of them, has
        shrunk again from its widest.
    strayed
        How far the directions have strayed into those that are zero, in units of rounding.
    """

    of_steps: Tensor
    of_product: Tensor
    reversal: Tensor
    strayed: Tensor


class History:
    r"""The stretches of the way of a product :math:`M = U \mathrm{diag}(e^d) V`.

    A change δY of J U at step t moves :math:`\log σ_i` by :math:`a_i^\top δY\, b_i` to first
    order: b_i is what M_{t−1} has made of the right singular vector, and a_i what the later steps
    make, going back, of the left one, divided by σ_i, both in the bases of that time. With
    V = L W, L lower triangular, the rows of W stand for the right singular vectors, which they
    are but for close values. Then b_i and a_i are the columns of
    :math:`B = C^{-1} \mathrm{diag}(e^d) L` and of its transposed inverse, C being the passage from
    t to the end. B is formed at the end of every stretch, where its columns are well scaled.

    At most `MOST` stretches are kept: the neighbours are joined in which least is lost. Inside a
    stretch, B is not known. Where values lay farther apart there than later, by x nats, the steps
    between have enlarged an error of one of them along another e^x times.

    All this holds near the product as it is computed. Where directions that had parted come back
    together, as in thirty steps there and back, they come only as far as rounding lets them, and
    the product computed is another, perhaps a well-conditioned one: by how far they have come back
    tells.
    """

    def __init__(self) -> None:
        self._stretches: list[Stretch] = []
        self._fresh: list[Stretch] = []
        self._spreads = Spreads()

    def note(self, d: Tensor, zeros: int = 0, *, anew: bool = False) -> None:
        """Take note of d on the way, as `Spreads.note` does."""
        self._spreads.note(d, zeros, anew=anew)
        if self._spreads.is_full:
            self._join()

    def append(self, passage: Passage, d: Tensor) -> None:
        """Go on by a passage that ends at d."""
        spreads = self._spreads
        self._fresh.append(Stretch(passage, without_zeros(d), spreads.stretch, spreads.changes))
        spreads.next_stretch()

    def _join(self) -> None:
        """See how far the latest stretches had spread, and join all until they are few."""
        for stretch in self._fresh:
            extent = self._spreads.taken(stretch.number)
            self._stretches.append(stretch._replace(extent=extent))
        self._fresh = []
        while len(self._stretches) > MOST:
            at = self._least_lost()
            first, second = self._stretches[at : at + 2]
            self._stretches[at : at + 2] = [_joined(first, second)]

    def _least_lost(self) -> int:
        """Return which stretch but the last has the smallest share in what has been lost."""
        losses = torch.stack([stretch.passage.loss for stretch in self._stretches])
        shares = losses / losses.sum(0).clamp_min(torch.finfo(losses.dtype).tiny)
        return int(shares[:-1].flatten(1).amax(-1).argmin())

    def copied(self) -> History:
        """Return one that can go on apart from this one."""
        twin = History()
        twin._stretches, twin._fresh = list(self._stretches), list(self._fresh)
        twin._spreads = self._spreads.copied()
        return twin

    def sensitivity(self, V: Tensor, order: Tensor | None, rank: Tensor) -> Sensitivity:
        """Return the sensitivity of the singular values of the product.

        Parameters
        ----------
        V
            V, its rows sorted by d; zero in the columns that are not asked about.
        order
            The order of these rows.
        rank
            How many singular values are not zero by structure, (...), int64.
        """
        self._join()
        L = torch.linalg.qr(V.mT, mode="r").R.mT
        zeros = torch.arange(V.shape[-1], device=V.device) >= rank.unsqueeze(-1)
        L = torch.where(zeros.unsqueeze(-2), identity_like(L), L)
        of_steps = torch.zeros(V.shape[:-1], dtype=V.dtype, device=V.device)
        of_product = of_steps + 1.0
        rest = standstill(V, order)
        later: Stretch | None = None
        for stretch in reversed(self._stretches):
            passage = stretch.passage
            d = -take(stretch.d, rest.order)
            duals = torch.linalg.solve_triangular(rescaled(L, d, d), rest.A, upper=False)
            columns = torch.linalg.inv_ex(duals).inverse.square()
            lengths = duals.square().sum(-1)
            of_steps = of_steps + (passage.loss.unsqueeze(-2) @ columns).squeeze(-2) * lengths
            of_steps = of_steps + _lost_inside(stretch, rest.order, later)
            later = (
                stretch
                if later is None
                else stretch._replace(extent=_followed(stretch, later, stretch.extent))
            )
            of_product = of_product.maximum(columns.sum(-2) * lengths)
            rest = composed(passage, rest)
        of_steps, of_product = (
            part.sqrt().nan_to_num(nan=torch.inf) for part in (of_steps, of_product)
        )
        reversal, none = self._spreads.reversal(), torch.zeros_like(of_steps)
        return Sensitivity(of_steps, of_product, none if reversal is None else reversal, none)


def _joined(first: Stretch, second: Stretch) -> Stretch:
    """Return both stretches as one."""
    passage = composed(first.passage, second.passage)
    return second._replace(passage=passage, extent=_followed(first, second, second.extent))


def _followed(first: Stretch, second: Stretch, otherwise: Extent | None) -> Extent | None:
    """Return the extent of both stretches; `otherwise` if values became zero between them."""
    if first.changes != second.changes:
        return otherwise
    if first.extent is None or second.extent is None:
        return first.extent or second.extent
    return first.extent.then(second.extent)


def _lost_inside(stretch: Stretch, order: Tensor, later: Stretch | None) -> Tensor:
    """Return what is lost inside a stretch beyond what its end tells of, (..., n).

    `later` has the extent of all that follow.
    """
    if stretch.extent is None:
        return torch.zeros_like(stretch.d)
    back = stretch.extent.returned
    if later is not None and later.extent is not None and later.changes == stretch.changes:
        back = back.maximum(stretch.extent.widest - later.extent.narrowest)
    return take(stretch.passage.loss, order) * (2 * back.clamp(min=0.0).amax(0)).expm1()

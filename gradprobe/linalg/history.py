"""The way that a product has come, from which the errors of its singular values follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from gradprobe.linalg.graded import identity_like, take
from gradprobe.linalg.passage import Passage, composed, rescaled, standstill

if TYPE_CHECKING:
    from torch import Tensor

MOST = 24
"""How many stretches are kept apart."""

AT_ONCE = 32
"""How many notes of d are worked up together: each by itself would cost as much as all of them."""


class Stretch(NamedTuple):
    """Some steps of the way: their passage, d at its end, how many they are."""

    passage: Passage
    d: Tensor


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

    At most `MOST` stretches are kept: the two shortest neighbours are joined.

    All this holds near the product as it is computed. Where directions that had parted come back
    together, as in thirty steps there and back, they come only as far as rounding lets them, and
    the product computed is another, perhaps a well-conditioned one: by how far they have come back
    tells.
    """

    def __init__(self) -> None:
        self._stretches: list[Stretch] = []
        self._noted: list[Tensor] = []
        self._widest: Tensor | None = None
        self._reversal: Tensor | None = None
        self._zeros = 0

    def note(self, d: Tensor, zeros: int = 0, *, anew: bool = False) -> None:
        """Take note of d on the way, of shape (..., n), in any order, `zeros` of it being −inf.

        With `anew` a direction has been lost since, and what stands in its place is no return.
        """
        if zeros != self._zeros or anew:  # what has become zero has not come back
            self._work_up()
            self._widest, self._zeros = None, zeros
        self._noted.append(d)
        if len(self._noted) >= AT_ONCE:
            self._work_up()

    def _work_up(self) -> None:
        """Bring the widest spread and the reversal up to what has been noted."""
        if not self._noted:
            return
        sizes = _without_zeros(torch.stack(self._noted)).sort(dim=-1, descending=True).values
        spreads = torch.stack((sizes[..., :1] - sizes, sizes - sizes[..., -1:]), dim=1)
        if self._widest is not None:
            spreads = torch.cat((self._widest.unsqueeze(0), spreads))
        widest = spreads.cummax(0).values
        reversal = (widest - spreads).amax(0)
        self._reversal = reversal if self._reversal is None else self._reversal.maximum(reversal)
        self._widest, self._noted = widest[-1], []

    def append(self, passage: Passage, d: Tensor) -> None:
        """Go on by a passage that ends at d."""
        self._stretches.append(Stretch(passage, _without_zeros(d)))
        if len(self._stretches) > MOST:
            at = self._least_lost()
            first, second = self._stretches[at : at + 2]
            both = composed(first.passage, second.passage)
            self._stretches[at : at + 2] = [Stretch(both, second.d)]

    def _least_lost(self) -> int:
        """Return which stretch but the last has the smallest share in what has been lost."""
        losses = torch.stack([stretch.passage.loss for stretch in self._stretches])
        shares = losses / losses.sum(0).clamp_min(torch.finfo(losses.dtype).tiny)
        return int(shares[:-1].flatten(1).amax(-1).argmin())

    def copied(self) -> History:
        """Return one that can go on apart from this one."""
        twin = History()
        twin._stretches, twin._noted = list(self._stretches), list(self._noted)
        twin._widest, twin._reversal, twin._zeros = self._widest, self._reversal, self._zeros
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
        self._work_up()
        L = torch.linalg.qr(V.mT).R.mT
        zeros = torch.arange(V.shape[-1], device=V.device) >= rank.unsqueeze(-1)
        L = torch.where(zeros.unsqueeze(-2), identity_like(L), L)
        of_steps = torch.zeros(V.shape[:-1], dtype=V.dtype, device=V.device)
        of_product = of_steps + 1.0
        rest = standstill(V, order)
        for passage, end in reversed(self._stretches):
            d = -take(end, rest.order)
            duals = torch.linalg.solve_triangular(rescaled(L, d, d), rest.A, upper=False)
            columns = torch.linalg.inv_ex(duals).inverse.square()
            lengths = duals.square().sum(-1)
            of_steps = of_steps + (passage.loss.unsqueeze(-2) @ columns).squeeze(-2) * lengths
            of_product = of_product.maximum(columns.sum(-2) * lengths)
            rest = composed(passage, rest)
        of_steps, of_product = (
            part.sqrt().nan_to_num(nan=torch.inf) for part in (of_steps, of_product)
        )
        reversal = torch.zeros_like(of_steps) if self._reversal is None else self._reversal.amax(0)
        return Sensitivity(of_steps, of_product, reversal, torch.zeros_like(of_steps))


def _without_zeros(d: Tensor) -> Tensor:
    """Replace −inf by the smallest other value: any will do that is not far from the others."""
    zeros = d == -torch.inf
    smallest = d.masked_fill(zeros, torch.inf).amin(-1, keepdim=True)
    return torch.where(zeros, smallest.masked_fill(smallest == torch.inf, 0.0), d)

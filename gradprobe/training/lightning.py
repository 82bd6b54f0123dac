"""A monitor as a callback of Lightning (the extra ``lightning``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightning.pytorch import Callback

from gradprobe.training.monitor import Monitor

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer
    from torch.optim import Optimizer


class MonitorCallback(Callback):
    """A `Monitor` of one submodule, attached while a ``Trainer`` fits.

    Parameters
    ----------
    module
        The name of the recurrent submodule in the ``LightningModule``, such as ``"encoder.rnn"``.
    **options
        Those of `Monitor`.

    Attributes
    ----------
    monitor
        The monitor, once fitting has begun; ``monitor.frame()`` has the results.

    Examples
    --------
    >>> callback = MonitorCallback("rnn", probes=["singular_values"], every=50)
    >>> callback.monitor is None  # before Trainer(callbacks=[callback]).fit(...)
    True
    """

    def __init__(self, module: str, **options: Any) -> None:
        super().__init__()
        self.module = module
        self.options = options
        self.monitor: Monitor | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Attach the monitor."""
        self.monitor = Monitor(pl_module.get_submodule(self.module), **self.options)

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        """Finish an iteration: Lightning clips after this."""
        if self.monitor is not None:
            self.monitor.step(getattr(trainer.precision_plugin, "scaler", None))

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop listening."""
        self._close()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Stop listening; what was recorded stays."""
        self._close()

    def _close(self) -> None:
        if self.monitor is not None:
            self.monitor.close()

"""Settings of the whole test run."""

import torch

# Matrices in tests are small: a second thread only waits, above all on a busy machine.
torch.set_num_threads(1)

# Fixtures of several files: a second conftest.py would be a second module of that name to mypy.
pytest_plugins = ["gate_fixtures", "browsing"]

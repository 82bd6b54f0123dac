"""Recurrent models: the cell contract, one file per family, stacking, adapters, the unrolled pass."""

"""Graded matrix products: tensors in, tensors out; this package knows no model."""

"""The explicit pass: back-propagation through time for cells that state the derivative of φ.

A `PointwiseRule` computes φ in place and its gradient from what it saved, `explicit_pass` goes
through time with it, and a `Workspace` keeps the large buffers from one training step to the next.
"""

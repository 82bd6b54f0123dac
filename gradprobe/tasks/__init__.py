"""Tasks: where inputs come from, one file per task."""

"""How long a test waits for something that comes: of use only where it never does."""

SECONDS_OF_PATIENCE = 900
"""What takes seconds on an idle machine may take minutes on a loaded one; a hang takes longer."""

"""Modules and functions of a caller's own as models, differentiated automatically."""

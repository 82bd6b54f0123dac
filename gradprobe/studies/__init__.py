"""Studies: the schema of a study file, its grid, the store of results, and the engine."""

"""Reports: figures, tables and one HTML file from stored results; torch is never imported here."""

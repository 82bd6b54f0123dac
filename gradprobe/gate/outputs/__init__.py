"""What a check writes: a table in the terminal, JUnit XML, Markdown and JSON."""

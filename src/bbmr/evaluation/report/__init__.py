"""A report: the paper's tables and figures, from what was measured, as CSV, Markdown and one HTML file."""

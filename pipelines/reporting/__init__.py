"""Report output: text, plots and pages."""

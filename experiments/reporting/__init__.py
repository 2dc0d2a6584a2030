"""Turn result tables into findings, words, figures and pages."""

"""From a command line and a table to a checked, traceable result table."""

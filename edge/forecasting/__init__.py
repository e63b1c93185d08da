"""Models asked about what comes next, and the alerts that follow."""

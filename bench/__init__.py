"""Measures a running installation from outside: ``python -m bench --help`` and docs/performance.md."""

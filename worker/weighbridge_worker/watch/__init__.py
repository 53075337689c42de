"""The pool as whoever is on call sees it; the dashboard and ``status --watch`` show the same."""

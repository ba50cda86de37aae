"""Admin listener: readiness and metrics, served by Tornado."""

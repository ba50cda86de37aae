"""The listeners: signals and health in public, readiness and metrics for admins."""

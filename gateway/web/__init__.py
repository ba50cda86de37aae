"""Listeners: signals and health for the public, readiness and metrics for operators."""

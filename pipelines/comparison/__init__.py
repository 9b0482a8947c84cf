"""Comparing methods: plan, runs, statistics, report, recommendation."""

"""Benchmarks. Every figure is taken in the same run as its baseline, each in a process of its own."""

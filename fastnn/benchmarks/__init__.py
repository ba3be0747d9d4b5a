"""Measuring: operations, trainings, what a machine can do at most; in fresh processes, beside other libraries."""

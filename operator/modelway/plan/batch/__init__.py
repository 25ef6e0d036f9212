"""Batch jobs: the CronJobs that there should be, and what is told of their runs. Pure; called by `plan.plan`."""

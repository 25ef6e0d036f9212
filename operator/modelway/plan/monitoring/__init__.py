"""Health of the model that serves: what was counted of its inputs and answers, and what that says.

`monitor.monitor` is called by `plan.plan` on every look. Pure. A round of readings becomes a window of counts
(`counting`), the window is compared with what is usual (`family`), and what that comes to is told (`telling`); the
`watch` carries all of it from look to look, and `keeping` over restarts of the operator.
"""

"""How a candidate takes over: steps, evidence, and the decision. Pure; called by `plan.plan` through `plan.roles`.

`decide` is the state machine; read it first. What it knows is in two places: decisions (who is stable, which step,
which weight) in `status`, which is written before anything is done about them; and what was counted in the `ledger`,
which lives in memory and is written to a ConfigMap from time to time. Losing the ledger costs time, and never makes a
wrong decision.
"""

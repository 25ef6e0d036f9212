"""The observer: counts what images of the user's own are asked and answer, as the model server counts it of itself.

Routers show it requests and answers (`stream`, Envoy's ext_proc as one who only listens); it finds rows and predictions
by the paths that the user has declared (`paths`, `reading`), counts them (`counting`) and tells the counts as the model
server does (`app`). Nothing of a row is kept beyond its count. Runs in a pod of its own: docs/adr/0021.
"""

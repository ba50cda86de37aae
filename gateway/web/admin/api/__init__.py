"""The API: one file a noun, each with endpoints that call `operate/` and answer by its views.

`endpoint` says how an endpoint is declared, `handler` how Tornado serves one. `fields` has the checks of queries and
bodies, `shapes` the answers; `openapi` describes all of them. The list of routes is in gateway.web.admin.app.
"""

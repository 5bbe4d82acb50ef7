"""VQL up to Elasticsearch's door, shared by the query service, which runs queries, and the jobs service, which takes them in for exports.

A query goes through these passes, in this order; `validate.checked` runs the first three:

    parse     request (`model`, in the typed spelling `proto`) → tree (`ast`)
    validate  tree × field catalogue and `limits` → all that is wrong with it
    order     the tree with its order made whole, and its cursor read by that order
    compile   tree → Elasticsearch's request; in the query service, which alone sends it

A pass is pure: what it gives depends on what it is given alone, with no I/O, clock or settings, and trees are frozen. It is total: it takes
every tree that the passes before it let through, and refuses with ValidationFailed only. What it decides stands in the tree, so that no
later pass decides it again. `render` shows a tree to people.
"""

"""VQL up to the Elasticsearch request: shared by the query service, which runs queries, and jobs, which accepts them for exports.

A query goes through these passes, in this order; `validate.checked` runs the first two:

    parse     request (`model`, for typed requests `proto`) × field catalogue and `limits` (`reading`) → tree (`ast`) of normalised
              conditions (`whole`, `parts`), its page and order as requested (`paging`), and everything that is wrong
    order     tree → tree with a complete order, and a cursor that fits it
    compile   tree → Elasticsearch request; in the query service, the only one that sends it

A tree that comes out of the first two is never refused by Elasticsearch. A pass is pure: its result depends only on its arguments, with no
I/O, clock or settings, and trees are frozen. It is total: it accepts every tree that the previous passes let through, and fails only with
ValidationFailed. Its decisions are in the tree, so that no later pass decides them again. `render` shows a tree to people.
"""

"""Language models that learn: rows, objectives, one loop, adapters (docs/tuning.md).

`rows` writes and reads what is learnt from, `encoding` makes tokens of it by the rendering that inference has,
`objectives` say what the loss is, `settings` how it is trained, `base` opens weights, `tiny` makes a base on the spot,
`tune` is the loop, `adapter` what it leaves behind.
"""

"""What runs local weights (`transformers:FOLDER`): prompts are read and answers decoded, in this process.

The way of a request: `model` renders it (`rendering`) and makes rows of it (`rows`); the `scheduler` reads prompts and
takes one step after another with all rows that are under way; `packed` sends them through the network, where `store`
and `attention` hold what it has read so far, and what many prompts begin with only once (`trunks`); `choosing` takes
the next token of every row, `stopping` and `grammar` say which end or restrict it. `single` is the slow way, for
networks whose attention cannot be exchanged.
"""

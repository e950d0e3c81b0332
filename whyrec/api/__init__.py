"""whyrec as a library; `whyrec` hands on what is public here when it is first used (docs/library.md).

`data` opens data sets, `running` puts them through graphs, `runs` reads what came out, `models` trains recommenders,
`measuring` computes tables and compares runs. The command line reads options,
chooses models and sets tables up by the same functions, and asks before large jobs.
"""

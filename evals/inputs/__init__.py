"""What a table is made of: runs of workflows, artefacts of models, and outcomes of either."""

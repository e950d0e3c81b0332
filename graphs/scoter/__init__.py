"""SCoTER's discovery half: paths of reasoning are generated, validated, mined and distilled (spec 4.a)."""

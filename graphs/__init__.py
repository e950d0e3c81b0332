"""whyrec's graphs: in what order the agents are asked. The only floor that imports LangGraph."""

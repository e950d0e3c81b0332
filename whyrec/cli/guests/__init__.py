"""What plug-ins declare, and how one is begun."""

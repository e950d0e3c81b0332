"""What a model's name says: which model, at which server, with which key, and which names mean the same."""

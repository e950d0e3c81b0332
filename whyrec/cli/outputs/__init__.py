"""What is done with what runs leave: exported, searched, SCoTER's templates, pairs and steps."""

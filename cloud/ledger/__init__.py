"""What became of every number: facts in, accounts out. Only `queries` touches a database."""

"""The topics: names, what each must be like, who may do what with them, how they are made and checked."""

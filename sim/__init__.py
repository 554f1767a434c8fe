"""A fleet that pretends to be thousands of trucks over real sockets, and checks afterwards that nothing was lost."""

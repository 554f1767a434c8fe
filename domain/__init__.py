"""What holds whatever machine it runs on: the rules of the product as pure functions over plain values."""

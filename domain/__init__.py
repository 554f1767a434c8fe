"""The rules of the product, as pure functions over plain values. They hold on any machine."""

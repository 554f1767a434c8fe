"""The rules of drivers, shares, delegations, certificates and the audit."""

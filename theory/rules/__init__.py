"""Selection rules, the moments of the rows they keep, and the quadrature behind both."""

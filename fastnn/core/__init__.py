"""The contract, the plan and what all share: arithmetic, formulas, operations, lowering, state. Imports NumPy alone."""

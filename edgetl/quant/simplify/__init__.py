"""Networks made fit for integer runtimes: smooth activations and gates replaced, what that costs learnt back."""

"""Networks for texts: transformers in Hugging Face layout and recurrent encoders, behind one classifier."""

"""What the page shows of texts: the words that decided, their lengths, how well the tokenizer knows them."""

"""How scripts are written: text from words, text from tokens as they come, signs at words' ends."""

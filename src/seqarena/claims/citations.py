"""Published figures that introductory texts quote side by side, and what they really compare.

The only constants of the ledger: none is measured here, and no verdict rests on one.
"""

from seqarena.core.results.verdicts import Citation

CITATIONS = (
    Citation(
        quoted="Translation, BLEU: 25.2 before the Transformer, 28.4 with it",
        really="28.4 is the big Transformer on WMT14 English to German. About 25.2 is ConvS2S "
        "(25.16), a convolution and not a recurrent network; the best published recurrent result "
        "beside it is 26.03, an LSTM with mixtures of experts, and the base Transformer has 27.3.",
        source="Vaswani et al. 2017, table 2; Gehring et al. 2017; Shazeer et al. 2017",
    ),
    Citation(
        quoted="Language modelling, perplexity: 78.4 with an LSTM, 35.8 with a Transformer",
        really="78.4 is a large regularised LSTM trained on the million words of Penn Treebank. "
        "35.76 is GPT-2 with 1.5 billion parameters, trained on web text and never on that "
        "corpus; with 117 million it has 65.85. LSTMs trained on the corpus alone reach 57.3 "
        "and, with another cell, 50.1: data and size differ, not the architecture alone.",
        source="Zaremba et al. 2014; Radford et al. 2019; Merity et al. 2018; Melis et al. 2020",
    ),
    Citation(
        quoted="Reading comprehension, F1: 76.3 before the Transformer, 93.2 with it",
        really="93.2 is an ensemble of seven large BERTs on SQuAD 1.1, pre-trained on books and "
        "Wikipedia and trained on TriviaQA as well; the best system before it in the same table "
        "has 91.7. A figure in the seventies is a single model of 2016, trained on SQuAD alone "
        "(BiDAF: 77.3): two years, more data and pre-training lie between.",
        source="Devlin et al. 2019, table 2; Seo et al. 2017",
    ),
    Citation(
        quoted="Text classification, accuracy: 89.1 before the Transformer, 96.8 with it",
        really="No data set is named, so that nothing can be compared.",
        source="none given",
    ),
)

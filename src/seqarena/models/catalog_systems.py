"""The catalog's whole systems: each wired as its paper wires it, in a file of its own. No torch."""

from seqarena.core.architecture import Architecture

NUMBERS_DEPEND_ON_THIS = False  # a job takes its own row's modules (jobs/sources.py)
SYSTEMS: tuple[Architecture, ...] = (
    Architecture(
        "memory_network", "end-to-end memory network", "memory", 2015,
        "Sukhbaatar et al. 2015, End-To-End Memory Networks",
        "every sentence is a memory that the question reads in several hops",
        system="seqarena.models.memory.memory_network:MemoryNetwork",
    ),
    Architecture(
        "memory_language_model", "end-to-end memory network language model", "memory", 2015,
        "Sukhbaatar et al. 2015, End-To-End Memory Networks, section 5",
        "the last hundred words are a memory that one constant query reads in several hops",
        system="seqarena.models.memory.memory_language_model:MemoryLanguageModel",
    ),
    Architecture(
        "bert", "BERT Transformer", "attention", 2018, "Devlin et al. 2018",
        "a Transformer that reads both ways, trained by guessing words that were hidden",
        system="seqarena.models.language.bert:Bert", causal=False,
    ),
    Architecture(
        "attentive_reader", "attentive reader", "attention", 2015,
        "Hermann et al. 2015; spans: ours",
        "the question asks each word of the passage how well it begins the answer, then ends it",
        system="seqarena.models.readers.attentive_reader:AttentiveReader", causal=False,
    ),
    Architecture(
        "attention_flow", "bidirectional attention flow (BiDAF)", "attention", 2016,
        "Seo et al. 2016",
        "passage and question attend to each other word by word before two LSTMs find the span",
        system="seqarena.models.readers.attention_flow:AttentionFlow", causal=False,
    ),
    Architecture(
        "lenet5", "LeNet-5 convolutional network", "convolution", 1998, "LeCun et al. 1998",
        "small filters over rows and columns, then coarser ones over what they found",
        system="seqarena.models.vision.lenet:LeNet5", causal=False,
    ),
    Architecture(
        "neocognitron", "neocognitron", "convolution", 1980, "Fukushima 1980",
        "layers that learn by competition, without teacher or gradient, and are pooled",
        system="seqarena.models.vision.neocognitron:Neocognitron", causal=False,
    ),
    Architecture(
        "text_cnn", "convolution with the maximum over time", "convolution", 2014, "Kim 2014",
        "filters over three to five words; each tells how well it fits at its best place",
        system="seqarena.models.sentences.text_cnn:TextCNN",
    ),
    Architecture(
        "self_attention_encoder", "bidirectional LSTM with self-attention", "attention", 2017,
        "Lin et al. 2017",
        "several weighted means over a bidirectional LSTM, each with its own attention",
        system="seqarena.models.sentences.self_attention_encoder:SelfAttentionEncoder",
    ),
    Architecture(
        "bi_lstm_tagger", "bidirectional LSTM tagger", "recurrent", 2015,
        "Huang et al. 2015; letters: Lample et al. 2016",
        "words and their letters, read both ways; each word's tag for itself",
        system="seqarena.models.taggers.tagger:BiLSTMTagger", causal=False,
    ),
    Architecture(
        "bi_lstm_crf", "bidirectional LSTM with a conditional random field", "recurrent", 2016,
        "Lample et al. 2016; Huang et al. 2015",
        "the same, and the tags of a sentence are decided together",
        system="seqarena.models.taggers.tagger:BiLSTMCRF", causal=False,
    ),
    Architecture(
        "seq2seq_lstm", "LSTM encoder-decoder", "recurrent", 2014,
        "Sutskever et al. 2014",
        "one LSTM reads the source backwards, another writes from where it ended",
        system="seqarena.models.encoder_decoders.seq2seq:Seq2SeqLSTM",
    ),
    Architecture(
        "seq2seq_gru", "GRU encoder-decoder", "recurrent", 2014, "Cho et al. 2014",
        "a GRU turns the source into one vector, which the writing GRU sees at every step",
        system="seqarena.models.encoder_decoders.seq2seq:Seq2SeqGRU",
    ),
    Architecture(
        "rnnsearch", "GRU encoder-decoder with attention", "recurrent", 2015,
        "Bahdanau et al. 2015",
        "before every word, the writing GRU looks where in the source to read",
        system="seqarena.models.encoder_decoders.rnnsearch:RNNSearch",
    ),
    Architecture(
        "luong_dot", "LSTM encoder-decoder with dot attention", "recurrent", 2015,
        "Luong et al. 2015",
        "the writing LSTM compares its state with every source position by a product",
        model={"score": "dot"}, system="seqarena.models.encoder_decoders.luong:Luong",
    ),
    Architecture(
        "luong_general", "LSTM encoder-decoder with bilinear attention", "recurrent", 2015,
        "Luong et al. 2015",
        "the same, with a learned matrix between the two",
        model={"score": "general"}, system="seqarena.models.encoder_decoders.luong:Luong",
    ),
    Architecture(
        "luong_concat", "LSTM encoder-decoder with additive attention", "recurrent", 2015,
        "Luong et al. 2015",
        "the same, with a small network that sees both",
        model={"score": "concat"}, system="seqarena.models.encoder_decoders.luong:Luong",
    ),
    Architecture(
        "transformer", "Transformer encoder-decoder", "attention", 2017,
        "Vaswani et al. 2017",
        "no recurrence: source and target attend to themselves, and the target to the source",
        system="seqarena.models.encoder_decoders.transformer:Transformer",
    ),
    Architecture(
        "transformer_modern", "modern Transformer encoder-decoder", "attention", 2020,
        "Vaswani et al. 2017; Xiong et al. 2020; Su et al. 2021; Shazeer 2020",
        "the same with norms before each part, rotary positions and gated feed-forward layers",
        model={
            "norm_position": "pre", "norm": "rms", "positions": "rotary",
            "channel_mixer": "gated",
        },
        system="seqarena.models.encoder_decoders.transformer:Transformer",
    ),
    Architecture(
        "mamba_encoder_decoder", "Mamba encoder-decoder with attention", "state space", 2023,
        "Gu and Dao 2023; attention to the source: Bahdanau et al. 2015",
        "Mamba reads the source both ways and writes the target, which attends to the source",
        model={"cycle": [{"mixer": "seqarena.mixers.state_space.mamba:Mamba"}]},
        system="seqarena.models.encoder_decoders.mixer_encoder_decoder:MixerEncoderDecoder",
    ),
    Architecture(
        "nnlm", "neural probabilistic language model", "feed-forward", 2003,
        "Bengio et al. 2003",
        "the last few words' vectors side by side, one hidden layer, a softmax",
        system="seqarena.models.language.nnlm:NNLM",
    ),
    Architecture(
        "wavenet", "WaveNet convolution", "convolution", 2016, "van den Oord et al. 2016",
        "gated convolutions whose dilation doubles, read through skip connections",
        system="seqarena.models.language.wavenet:WaveNet",
    ),
    Architecture(
        "bytenet", "ByteNet convolution", "convolution", 2016, "Kalchbrenner et al. 2016",
        "a dilated decoder stands on the columns of a dilated encoder; linear in both lengths",
        system="seqarena.models.language.bytenet:ByteNet",
    ),
    Architecture(
        "convs2s", "convolutional encoder-decoder", "convolution", 2017, "Gehring et al. 2017",
        "gated convolutions on both sides, and every decoder layer attends to the source",
        system="seqarena.models.encoder_decoders.convs2s:ConvS2S",
    ),
    Architecture(
        "neural_gpu", "Neural GPU", "algorithmic", 2015, "Kaiser & Sutskever 2016",
        "convolutional gates transform the whole memory, as many times as the input is long",
        model={"dropout": 0.1}, causal=False, system="seqarena.models.memory.neural_gpu:NeuralGPU",
    ),
    Architecture(
        "extended_neural_gpu", "Extended Neural GPU", "algorithmic", 2016, "Kaiser & Bengio 2016",
        "a Neural GPU reads, and another goes on from its memory with a tape of what is written",
        system="seqarena.models.memory.extended_neural_gpu:ExtendedNeuralGPU",
    ),
    Architecture(
        "diagonal_neural_gpu", "Diagonal Neural GPU", "algorithmic", 2017,
        "Freivalds & Liepins 2017",
        "a Neural GPU on one line: hard nonlinearities, and gates that shift a third each way",
        causal=False, system="seqarena.models.memory.diagonal_neural_gpu:DiagonalNeuralGPU",
    ),
)  # fmt: skip

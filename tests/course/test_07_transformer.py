"""Answers to the exercises of the course's lesson on the Transformer."""

import math

import torch
from torch import Tensor, nn


def test_1_keys_and_values_can_be_kept() -> None:
    """One causal layer of two heads: all positions at once, and one at a time with a cache."""
    torch.manual_seed(0)
    length, width, heads = 9, 8, 2
    inward, x = torch.randn(width, 3 * width).double(), torch.randn(length, width).double()

    def split(x_TD: Tensor) -> list[Tensor]:
        return [part.view(-1, heads, width // heads).transpose(0, 1) for part in x_TD.chunk(3, -1)]

    def attend(q_HTE: Tensor, k_HCE: Tensor, v_HCE: Tensor, seen: Tensor | None) -> Tensor:
        scores = q_HTE @ k_HCE.mT / math.sqrt(width // heads)
        if seen is not None:
            scores = scores.masked_fill(~seen, -math.inf)
        return (scores.softmax(-1) @ v_HCE).transpose(0, 1).flatten(1)

    queries, keys, values = split(x @ inward)
    whole = attend(queries, keys, values, torch.ones(length, length).tril().bool())

    keys, values = (torch.empty(heads, 0, width // heads).double() for _ in range(2))
    for t in range(length):
        query, key, value = split(x[t : t + 1] @ inward)
        keys, values = torch.cat((keys, key), 1), torch.cat((values, value), 1)
        now = attend(query, keys, values, None)  # there is no later position to hide
        torch.testing.assert_close(now[0], whole[t], rtol=1e-12, atol=1e-12)
    assert keys.shape == (heads, length, width // heads)  # the state grows with the length


def test_2_why_the_root_of_d() -> None:
    """A score is a sum of d products of variance 1: its variance is d. Divided by the root it is 1,
    and the weights are as wide for any d; without, one key takes nearly all."""
    generator = torch.Generator().manual_seed(0)
    divided, plain = [], []
    for d in (4, 64, 1024):
        q, k = (torch.randn(1000, d, generator=generator) for _ in range(2))
        scores = q @ k.T
        scaled = scores / math.sqrt(d)
        assert abs(float(scores.var()) / d - 1) < 0.1
        assert abs(float(scaled.var()) - 1) < 0.1
        divided.append(float(scaled.softmax(-1).amax(-1).mean()))
        plain.append(float(scores.softmax(-1).amax(-1).mean()))
    assert max(divided) < 0.1  # of 1,000 keys
    assert plain[0] < plain[1] < plain[2]
    assert plain[2] > 0.8


def test_3_without_a_mask_it_sees_what_it_is_to_predict() -> None:
    """Only the token at position 5 changes. What is said at position 4 is about that very token."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 2, 64, dropout=0.0, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    one = torch.randn(1, 8, 16)
    other = one.clone()
    other[0, 5] = torch.randn(16)
    mask = nn.Transformer.generate_square_subsequent_mask(8)

    def change(mask: Tensor | None) -> Tensor:
        with torch.no_grad():
            return (encoder(one, mask=mask) - encoder(other, mask=mask))[0].abs().amax(-1)

    assert bool((change(None) > 1e-3).all())  # every position, those before it too
    masked = change(mask)
    assert float(masked[:5].max()) == 0.0 < float(masked[5:].min())

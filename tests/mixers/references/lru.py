"""Stores what a published LRU gives on fixed inputs.

Reference: class `LRU` of lru/model.py in github.com/NicolasZucchet/minimal-LRU at commit
bbd71b1104c3 (the authors of the paper published a listing, no package), with jax 0.10.2 and flax
0.12.8, in float64. The arrays are written beside this file.

    python lru.py PLACE/OF/lru/model.py
"""

import importlib.util
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import save_file

jax.config.update("jax_enable_x64", True)


def main(place: str) -> None:
    spec = importlib.util.spec_from_file_location("model", place)
    published = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(published)
    width, states, batch, length = 5, 7, 2, 29
    layer = published.LRU(d_hidden=states, d_model=width, r_min=0.5, r_max=0.99)
    begun = layer.init(jax.random.PRNGKey(0), jnp.zeros((length, width)))["params"]
    draw = np.random.default_rng(0)
    params = {
        name: jnp.asarray(value, jnp.float64) + 0.1 * draw.normal(size=value.shape)
        for name, value in begun.items()
    }
    x = jnp.asarray(draw.normal(size=(batch, length, width)))
    weights = jnp.asarray(draw.normal(size=(batch, length, width)))

    def outputs(params, x):
        return jax.vmap(lambda row: layer.apply({"params": params}, row))(x)

    def total(params, x):
        return (outputs(params, x) * weights).sum()

    d_params, d_x = jax.grad(total, argnums=(0, 1))(params, x)
    stored = params | {"x": x, "weights": weights, "y": outputs(params, x), "d_x": d_x}
    stored |= {f"d_{name}": gradient for name, gradient in d_params.items()}
    save_file(
        {name: np.ascontiguousarray(value) for name, value in stored.items()},
        Path(__file__).with_suffix(".safetensors"),
    )


if __name__ == "__main__":
    main(sys.argv[1])

"""Stores what the authors' S5 gives on fixed inputs.

Reference: class `S5SSM` of s5/ssm.py and `make_DPLR_HiPPO` of s5/ssm_init.py in
github.com/lindermanlab/S5 at commit 3c18fdb6b064, with jax 0.10.2 and flax 0.12.8, in float64. The
package names a type that later versions of jax do not have; it is set before the import. The arrays
are written beside this file.

    python s5.py PLACE/OF/THE/REPOSITORY
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import save_file

jax.config.update("jax_enable_x64", True)
jnp.DeviceArray = jax.Array


def main(place: str) -> None:
    sys.path.insert(0, place)
    from s5.ssm import S5SSM
    from s5.ssm_init import make_DPLR_HiPPO

    width, pairs, batch, length = 5, 4, 2, 29
    a, _, _, basis, _ = make_DPLR_HiPPO(2 * pairs)
    a, basis = a[:pairs], basis[:, :pairs]
    layer = S5SSM(
        Lambda_re_init=a.real,
        Lambda_im_init=a.imag,
        V=basis,
        Vinv=basis.conj().T,
        H=width,
        P=pairs,
        C_init="trunc_standard_normal",
        discretization="zoh",
        dt_min=0.001,
        dt_max=0.1,
        conj_sym=True,
        clip_eigs=True,
    )
    begun = layer.init(jax.random.PRNGKey(0), jnp.zeros((length, width)))["params"]
    draw = np.random.default_rng(0)
    params = {
        name: jnp.asarray(value, jnp.float64) + 0.1 * draw.normal(size=value.shape)
        for name, value in begun.items()
    }
    params["Lambda_re"] = params["Lambda_re"].at[1].set(0.3)  # beyond the bound of real parts
    x = jnp.asarray(draw.normal(size=(batch, length, width)))
    weights = jnp.asarray(draw.normal(size=(batch, length, width)))

    def outputs(params, x):
        return jax.vmap(lambda row: layer.apply({"params": params}, row))(x)

    def total(params, x):
        return (outputs(params, x) * weights).sum()

    d_params, d_x = jax.grad(total, argnums=(0, 1))(params, x)
    stored = params | {"x": x, "weights": weights, "y": outputs(params, x), "d_x": d_x}
    stored |= {f"d_{name}": gradient for name, gradient in d_params.items()}
    stored["frequencies"] = a.imag
    save_file(
        {name: np.ascontiguousarray(value) for name, value in stored.items()},
        Path(__file__).with_suffix(".safetensors"),
    )


if __name__ == "__main__":
    main(sys.argv[1])

"""A model as one C99 file: weights, a state, one step. No heap, no library but that of mathematics.

    NAME_init(&state);
    NAME_step(&state, token, logits);     0: done; 1: no room for another position

With NAME_TEST defined the file has a `main` that runs the test vector in it: logits that torch
computed from the same weights.
"""

import re
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from seqarena.core.errors import UserError
from seqarena.models.export.c.operators import HELPERS, c_type, literal
from seqarena.models.export.c.program import CProgram, Scratch
from seqarena.models.export.c.weights import ConstantArrays, array_lines
from seqarena.models.export.graph import StepGraph, step_graph
from seqarena.models.export.step import StateTensor
from seqarena.models.model import Model

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
TEST_POSITIONS = 8
TOLERANCE = 1e-5  # of the test vector, relative to its largest number


class CSource(NamedTuple):
    """The file, what it takes, and the graph with the same weights (rounded, where int8)."""

    text: str
    step: StepGraph
    flash_bytes: int  # weights and initial state; the code itself depends on the compiler
    state_bytes: int
    scratch_bytes: int  # on the stack, while a step runs

    @property
    def outputs(self) -> int:
        """How many logits a step writes."""
        return _outputs(self.step)


def c_source(
    model: Model, name: str, *, precision: str = "float32", max_length: int = 1024, about: str = ""
) -> CSource:
    """The file of `model`, whose C names begin with `name`. Caches that grow have room for
    `max_length` positions; `about` are lines of its head.

    Raises UserError for a model that has no step, or an operator that has no C.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UserError(
            f"{name!r} is no name in C: use small letters, digits and _, a letter first"
        )
    most = model.most_positions
    step = step_graph(model, rows=1, room=max_length if most is None else min(most, max_length))
    weights = ConstantArrays(step, precision)
    program = CProgram(step, weights)
    floats, integers = program.scratch("float"), program.scratch("int32_t")
    states = [_State(s.name, c_type(s.like.dtype), initial(s, step)) for s in step.states]
    state_bytes = 4 * sum(state.values.numel() for state in states)
    file = _File(name, step, states, _outputs(step))
    body = _placed(program.statements, floats, integers)
    arrays = "\n".join(weights.lines())
    sizes = (weights.num_bytes, state_bytes, 4 * (floats.elements + integers.elements))
    parts = (
        file.head(about, *sizes), _helpers(body), arrays, file.initialiser(),
        file.step(body, floats.elements, integers.elements), file.test(),
    )  # fmt: skip
    return CSource("\n".join(parts), step, *sizes)


def identifier(text: str) -> str:
    """A text as a name in C."""
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    return name if re.match(r"[a-z]", name) else f"model_{name}".rstrip("_")


def initial(state: StateTensor, step: StepGraph) -> Tensor:
    """One row of a state before the first position, with all the room that the graph has."""
    return state.initial(1, step.room or 0)


class _State(NamedTuple):
    name: str
    kind: str
    values: Tensor


class _File(NamedTuple):
    """The parts around the statements."""

    name: str
    step_graph: StepGraph
    states: list[_State]
    outputs: int

    @property
    def features(self) -> int:
        example = self.step_graph.example
        return example.shape[1] if example.dim() == 2 else 0

    @property
    def inputs(self) -> str:
        return "const float *features" if self.features else "int32_t token"

    def head(self, about: str, flash: int, state: int, scratch: int) -> str:
        name, upper = self.name, self.name.upper()
        fields = "".join(f"    {s.kind} {s.name}[{s.values.numel()}];\n" for s in self.states)
        given = f"{self.features} features" if self.features else "a token"
        return f"""\
/* {about or name}

   {name}_init(&state) before the first position; {name}_step reads {given}, writes
   {upper}_OUTPUTS logits and returns 0; 1: no room for another position; 2: no such token.
   Needs {flash} bytes of flash for weights, {state} of RAM for a state, {scratch} of stack.
   cc -std=c99 -O3 -D{upper}_TEST {name}.c -lm runs the test vector at the end. */

#include <math.h>
#include <stdint.h>
#include <string.h>

#define {upper}_OUTPUTS {self.outputs}

typedef struct {{
{fields or "    int32_t nothing;"}
}} {name}_state;

void {name}_init({name}_state *state);
int {name}_step({name}_state *state, {self.inputs}, float *logits);
"""

    def initialiser(self) -> str:
        lines = ["    memset(state, 0, sizeof *state);"]
        for one in self.states:
            different = one.values.flatten().unique()
            if len(different) == 1 and float(different[0]):
                value = literal(different[0], one.values.dtype)
                loop = f"for (int i = 0; i < {one.values.numel()}; ++i)"
                lines.append(f"    {loop} state->{one.name}[i] = {value};")
            elif len(different) > 1:
                raise UserError(f"the state {one.name} begins with several numbers")
        body = "\n".join(lines)
        return f"void {self.name}_init({self.name}_state *state)\n{{\n{body}\n}}\n"

    def step(self, body: str, floats: int, integers: int) -> str:
        blocks = [f"    float f[{floats}];\n" if floats else ""]
        blocks.append(f"    int32_t n[{integers}];\n" if integers else "")
        return f"""\
int {self.name}_step({self.name}_state *state, {self.inputs}, float *logits)
{{
{"".join(blocks)}{self._checks()}{body}
    return 0;
}}
"""

    def _checks(self) -> str:
        checks = (
            []
            if self.features
            else [f"if (token < 0 || token >= {self.step_graph.vocabulary}) return 2;"]
        )
        counter = next(
            (s.name for s in self.states if s.name.endswith(("lengths", "position"))), ""
        )
        grows = any(state.grows is not None for state in self.step_graph.states)
        if grows and counter:
            checks.append(f"if (state->{counter}[0] >= {self.step_graph.room}) return 1;")
        return "".join(f"    {check}\n" for check in checks)

    def test(self) -> str:
        """The test vector and its `main`."""
        inputs, expected = _test_vector(self.step_graph, self.step_graph.vocabulary)
        kind, own = (
            ("float", f"inputs + i * {self.features}")
            if self.features
            else ("int32_t", "inputs[i]")
        )
        upper = self.name.upper()
        arrays = "\n".join(
            (*array_lines("inputs", kind, inputs), *array_lines("expected", "float", expected))
        )
        return f"""\
#ifdef {upper}_TEST
#include <stdio.h>

{arrays}

int main(void)
{{
    static {self.name}_state state;
    static float logits[{upper}_OUTPUTS];
    float largest = 1.0f, difference = 0.0f;
    {self.name}_init(&state);
    for (int i = 0; i < {len(inputs)}; ++i)
        if ({self.name}_step(&state, {own}, logits) != 0) return 2;
    for (int i = 0; i < {upper}_OUTPUTS; ++i) {{
        const float error = fabsf(logits[i] - expected[i]);
        if (fabsf(expected[i]) > largest) largest = fabsf(expected[i]);
        if (!(error <= difference)) difference = error;
    }}
    printf("largest difference %.2e\\n", (double)(difference / largest));
    return difference <= {TOLERANCE!r}f * largest ? 0 : 1;
}}
#endif
"""


def _test_vector(step: StepGraph, vocabulary: int) -> tuple[Tensor, Tensor]:
    """A few inputs, and the logits after the last."""
    draw = torch.Generator().manual_seed(0)
    shape = (min(TEST_POSITIONS, step.room or TEST_POSITIONS), 1, *step.example.shape[1:])
    if step.example.dim() == 2:
        inputs = torch.randn(shape, generator=draw)
    else:
        inputs = torch.randint(vocabulary, shape, generator=draw)
    state = [initial(one, step) for one in step.states]
    logits = torch.empty(0)
    with torch.no_grad():
        for one in inputs:
            logits, *state = step.module(one, *state)
    return inputs, logits


def _outputs(step: StepGraph) -> int:
    return cast("Any", step.model).problem.num_outputs


def _placed(statements: list[str], floats: Scratch, integers: Scratch) -> str:
    """The statements with every buffer at its place in the two blocks."""
    places = {name: f"(f + {offset})" for name, offset in floats.offsets.items()}
    places |= {name: f"(n + {offset})" for name, offset in integers.offsets.items()}
    text = "\n".join(statements)
    text = re.sub(r"@\d+@", lambda found: places[found[0]], text)
    return "\n".join("    " + line for line in text.split("\n"))


def _helpers(body: str) -> str:
    """The functions that the body calls."""
    functions = re.split(r"(?=^static )", HELPERS, flags=re.MULTILINE)
    used = [f for f in functions if f and re.search(rf"\b{f.split('(')[0].split()[-1]}\(", body)]
    return "".join(used)

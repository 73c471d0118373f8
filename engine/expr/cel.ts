import { PgdbaError } from "../errors.ts";
import type { Json, Trace, Variables } from "../types.ts";
import { expressionFailed, type Node } from "./ast.ts";
import { parse } from "./parse.ts";
import { Interpreter, type Recorder } from "./interpret.ts";
import { buildTrace, TraceRecorder } from "./trace.ts";
import { fromCel, type Value } from "./values.ts";

/**
 * Evaluates a CEL expression. Variables are own keys of `vars`; their values are JSON, dates, bytes, or what
 * `unknownOutput` gives. Whole numbers are ints, so `/` between two of them truncates; an int with a double gives a double.
 * @throws PgdbaError expression_failed (`data`: source, start, end) · limit_exceeded beyond the bounds of `Work`
 * @throws UnknownValue when the value depends on an output that does not exist
 */
export function evaluate(source: string, vars: Variables): Json {
  return guarded(source, (ast) => fromCel(run(ast, source, vars)));
}

/** Evaluates and tells the value of every sub-expression, each text through `mask` before it is cut. Throws as `evaluate` does. */
export function explain(source: string, vars: Variables, mask?: (text: string) => string): Trace {
  return guarded(source, (ast) => {
    const recorder = new TraceRecorder(mask);
    const value = fromCel(run(ast, source, vars, recorder));
    return buildTrace(ast, source, value, recorder);
  });
}

function run(ast: Node, source: string, vars: Variables, recorder?: Recorder): Value {
  return new Interpreter(source, vars, recorder).run(ast);
}

function guarded<T>(source: string, action: (ast: Node) => T): T {
  try {
    return action(parse(source));
  } catch (error) {
    if (error instanceof RangeError) {
      throw new PgdbaError("limit_exceeded", "the expression is nested too deep", {
        hint: "Split it over several steps.",
        cause: error,
      });
    }
    throw expressionFailed(error, source);
  }
}

import { ExprError } from "../ast.ts";
import { UnknownValue } from "../unknown.ts";

/**
 * `||` and `exists` are settled by a part that is true, `&&` and `all` by one that is false: `decisive`. A part that fails,
 * or is not known yet, yields to one that decides; if none does, its fault is thrown. Of several faults an unknown wins,
 * for once known it may settle the matter. Limits are never put aside. With `askAll` no part is left out.
 */
export function settle(decisive: boolean, parts: Iterable<() => boolean>, askAll = false): boolean {
  let isDecided = false;
  let fault: unknown;
  for (const part of parts) {
    try {
      if (part() === decisive) isDecided = true;
    } catch (error) {
      fault = keepFault(fault, error);
    }
    if (isDecided && !askAll) return decisive;
  }
  if (isDecided) return decisive;
  if (fault !== undefined) throw fault;
  return !decisive;
}

function keepFault(first: unknown, next: unknown): unknown {
  if (!(next instanceof ExprError || next instanceof UnknownValue)) throw next;
  if (first === undefined) return next;
  return next instanceof UnknownValue && !(first instanceof UnknownValue) ? next : first;
}

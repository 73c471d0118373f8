/** What a spec must hold at any place. */
import { PgdbaError } from "../../engine/errors.ts";
import { validate } from "../../engine/shared/validate.ts";
import type { Provider, Spec } from "./contract.ts";

/** It becomes a part of host names, slots and folders. */
export const NODE_NAME = /^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/;

/** The error of a spec that is not that of the nodes that are there, or of none that can be. */
export function refused(message: string, hint: string): PgdbaError {
  return new PgdbaError("step_refused", message, { hint, nothingDone: true });
}

/** Each node has a name of its own that any place can use. @throws PgdbaError step_refused */
export function assertNames({ nodes }: Spec): void {
  const names = nodes.map(({ name }) => name);
  if (names.length === 0) throw refused("The spec has no nodes", "Name at least one.");
  const wrong = names.find((name) => !NODE_NAME.test(name));
  if (wrong !== undefined)
    throw refused(
      `${JSON.stringify(wrong)} can't name a node`,
      "Use lowercase letters, digits and `-`, at most 40.",
    );
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw refused(`Two nodes are named ${twice}`, "Give each its own name.");
}

/** Each role of PostgreSQL has a name of its own. @throws PgdbaError step_refused */
export function assertUsers(users: readonly string[]): void {
  const same = users.find((user, at) => users.indexOf(user) !== at);
  if (same !== undefined)
    throw refused(`Two accounts are named ${same}`, "Give each its own name.");
}

/** The places are as the provider describes them. @throws PgdbaError step_refused */
export function assertPlaces({ place }: Pick<Provider, "place">, spec: Spec): void {
  const problems = [
    ...validate(place.cluster, spec.place ?? {}, "place"),
    ...spec.nodes.flatMap((node) =>
      validate(place.node, node.place ?? {}, `the place of ${node.name}`),
    ),
  ];
  if (problems.length > 0)
    throw refused(problems.map(({ message }) => message).join("; "), "Correct the spec.");
}

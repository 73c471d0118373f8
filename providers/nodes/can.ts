import { PgdbaError } from "../../engine/errors.ts";
import { type Can, type Verb, VERBS } from "./contract.ts";

/** All verbs but these, each with the reason why it is lacking. */
export function canAllBut(lacks: Partial<Record<Verb, string>>): Can {
  return Object.fromEntries(
    VERBS.map((verb) => {
      const why = lacks[verb];
      return [verb, why === undefined ? { can: true } : { can: false, why }];
    }),
  ) as Can;
}

/** The error of a verb that a place does not have. */
export function lacking(verb: Verb, why: string): PgdbaError {
  return new PgdbaError("unsupported", `${verb} is not possible here: ${why}`, {
    hint: "`target.can` tells a runbook what is possible; use another kind of place for this.",
    nothingDone: true,
  });
}

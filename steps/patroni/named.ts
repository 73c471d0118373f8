import { PgdbaError } from "../../engine/errors.ts";
import type { PatroniMember } from "../../providers/patroni/members.ts";

/** @throws PgdbaError invalid_param for a member that is not there */
export function memberNamed(members: readonly PatroniMember[], name: string): PatroniMember {
  const found = members.find((member) => member.name === name);
  if (found !== undefined) return found;
  throw new PgdbaError("invalid_param", `There is no member ${name}`, {
    hint: `There are ${members.map((member) => member.name).join(", ")}.`,
  });
}

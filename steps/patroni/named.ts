import { PgdbaError } from "../../engine/errors.ts";
import type { StepContext } from "../../engine/types.ts";
import type { PatroniMember } from "../../providers/patroni/members.ts";

/** The name of the member that a text means: a name, a host, or host:port. @throws PgdbaError invalid_param */
export async function nameMeant(ctx: StepContext, text: string): Promise<string> {
  return (await ctx.use("member")).find(text);
}

/** The member of that name, which may have gone in the meantime. @throws PgdbaError invalid_param */
export function memberNamed(members: readonly PatroniMember[], name: string): PatroniMember {
  const found = members.find((member) => member.name === name);
  if (found !== undefined) return found;
  throw new PgdbaError("invalid_param", `Patroni knows no member ${name} now`, {
    hint: `It knows ${members.map((member) => member.name).join(", ")}. Does Patroni run there?`,
  });
}

import type { StepContext } from "../../../engine/types.ts";
import { session } from "../../sql/session.ts";

/** The marks that tell the members of one cluster apart: all have the system identifier of the first. */
export interface Member {
  data_directory: string | null;
  port: string | null;
  cluster_name: string | null;
  /** The address at which our session reached it; null over a Unix socket. */
  address: string | null;
}

const MEMBER = `SELECT current_setting('data_directory', true) AS data_directory, current_setting('port') AS port,
  current_setting('cluster_name') AS cluster_name, host(inet_server_addr()) AS address`;

export async function memberOf(ctx: StepContext): Promise<Member> {
  const pg = await session(ctx);
  return (await pg.ask(MEMBER, [], { signal: ctx.signal })).rows[0] as unknown as Member;
}

const WORDS: [keyof Member, string][] = [
  ["data_directory", "data directory"],
  ["port", "port"],
  ["cluster_name", "cluster_name"],
];

/**
 * In what two members differ that can't be one server, in words; undefined when they may be one.
 * @param changed settings that may differ because a run changed them
 */
export function otherMember(
  one: Member,
  other: Member,
  changed: readonly string[],
): string | undefined {
  const found = WORDS.find(([key]) => !changed.includes(key) && one[key] !== other[key]);
  return found && `its ${found[1]} was ${String(one[found[0]])} and is ${String(other[found[0]])}`;
}

/** The same for what a server may also change between two runs, such as a container's address. */
export function otherAddress(one: Member, other: Member): string | undefined {
  const [a, b] = [one.address, other.address];
  const tells = (address: string | null): boolean =>
    address !== null && !/^(127\.|::1$)/.test(address);
  return tells(a) && tells(b) && a !== b ? `its address was ${a} and is ${b}` : undefined;
}

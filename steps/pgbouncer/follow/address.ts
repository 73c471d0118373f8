import { isIP } from "node:net";

/** A resolver that is alive answers in a few milliseconds. */
const LOOKUP_MS = 1000;

/**
 * The address that a name has at this moment, by the resolver of the machine, which keeps nothing. Where it does not tell, the one of `before`
 * holds, for each new route cuts clients off; or else the name itself. PgBouncer's own resolver (c-ares, since 1.31) keeps an address for as
 * long as the name server says, whatever `dns_max_ttl` is: ten minutes on Docker, where a node that starts again may have another one.
 */
export async function addressOf(
  host: string,
  before: string | undefined,
  lookup: (host: string) => Promise<{ address: string }[]> = (name) =>
    Bun.dns.lookup(name, { backend: "libc" }),
): Promise<string> {
  if (isIP(host) !== 0) return host;
  const late = Bun.sleep(LOOKUP_MS).then(() => []);
  const found = await Promise.race([lookup(host), late]).catch(() => []);
  const known = before !== undefined && isIP(before) !== 0 ? before : undefined;
  if (known !== undefined && found.some(({ address }) => address === known)) return known;
  return found[0]?.address ?? known ?? host;
}

import { isIP } from "node:net";

/** A resolver that is alive answers in a few milliseconds. */
const LOOKUP_MS = 1000;

/**
 * The address that a name has at this moment, by the resolver of the machine, which keeps nothing; the name itself where it does not tell. PgBouncer's own
 * resolver (c-ares, since 1.31) keeps an address for as long as the name server says, whatever `dns_max_ttl` is: ten minutes on Docker, where a
 * node that starts again may have another one.
 */
export async function addressOf(host: string): Promise<string> {
  if (isIP(host) !== 0) return host;
  const late = Bun.sleep(LOOKUP_MS).then(() => []);
  const found = await Promise.race([Bun.dns.lookup(host, { backend: "libc" }), late]).catch(
    () => [],
  );
  return found[0]?.address ?? host;
}
